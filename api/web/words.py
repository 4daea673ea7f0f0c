"""Every word of the page, Chinese and English."""

from collections.abc import Mapping
from typing import Literal

from archiver.mistakes import Mistake
from archiver.vocabulary import CHINESE

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")

WORDS: Mapping[str, tuple[str, str]] = {
    "archive": ("音视频档案", "Audio/video archive"),
    "skip": ("跳到正文", "Skip to content"),
    "nav": ("主导航", "Main navigation"),
    "captures": ("采集任务", "Recordings"),
    "book": ("预约录制", "Book a recording"),
    "find": ("查找", "Find"),
    "registry": ("项目与设备", "Projects and rooms"),
    "sign_in": ("登录", "Sign in"),
    "sign_out": ("退出", "Sign out"),
    "token": ("访问令牌", "Access token"),
    "token_hint": (
        "请粘贴管理员给您的令牌。首个令牌保存在本机档案目录的 token 文件中。",
        "Paste the token that your administrator gave you. The first one is in the file “token” of the home folder.",
    ),
    "token_wrong": (
        "令牌无效或已过期,请检查后重试。",
        "This token is not valid or has expired. Check it and try again.",
    ),
    "other_language": ("English", "中文"),
    "required": ("必填", "required"),
    "optional": ("可不填", "optional"),
    "check_fields": ("有内容需要更正:", "Something needs to be put right:"),
    "project": ("项目", "Project"),
    "location": ("地点(房间)", "Room"),
    "source": ("音视频源", "Camera or microphone"),
    "sources": ("音视频源", "Cameras and microphones"),
    "from": ("开始时间", "From"),
    "to": ("结束时间", "To"),
    "title": ("标题", "Title"),
    "any": ("全部", "Any"),
    "state": ("状态", "State"),
    "text": ("关键词", "Words"),
    "text_hint": ("项目编号、名称、房间等", "Number or title of a project, a room …"),
    "time_hint": ("时间按档案所在时区填写:{zone}", "Times are in the archive's time zone: {zone}"),
    "choose": ("请选择", "Choose"),
    "book_lead": (
        "选择项目和房间,填写起止时间。到时房间内所有设备会自动开始录制,并提前、延后各几秒。",
        "Choose the project and the room, and say from when to when. Every camera of the room is then recorded by"
        " itself, starting a few seconds early and ending a few seconds late.",
    ),
    "book_submit": ("预约", "Book"),
    "booked": ("已预约。到时会自动录制。", "Booked. It will be recorded by itself."),
    "no_projects": ("还没有项目。请先登记项目。", "There is no project yet. Add one first."),
    "no_locations": ("还没有房间。请先登记房间和设备。", "There is no room yet. Add a room and its cameras first."),
    "no_captures": ("还没有采集任务。", "Nothing has been booked yet."),
    "no_hits": ("没有找到符合条件的记录。", "Nothing fits. Try fewer filters."),
    "first_steps": ("三步开始", "Three steps to begin"),
    "step_registry": ("登记项目、房间和设备", "Add a project, a room and its cameras"),
    "step_book": ("预约录制时间", "Book when to record"),
    "step_watch": ("录制、封存后即可查看和导出", "Watch and export what was recorded and sealed"),
    "window": ("时间", "Window"),
    "coverage": ("录制情况", "Coverage"),
    "recorded": ("已录制", "Recorded"),
    "missing": ("断录", "Missing"),
    "pending": ("待录制", "Still to come"),
    "gaps": ("断录明细", "Gaps"),
    "camera_fast": (
        "{name}:设备自身时钟比主机快 {length};记录按主机时间定位,不受影响。",
        "{name}: the camera's own clock is {length} ahead of the host's. The record goes by the host's.",
    ),
    "camera_slow": (
        "{name}:设备自身时钟比主机慢 {length};记录按主机时间定位,不受影响。",
        "{name}: the camera's own clock is {length} behind the host's. The record goes by the host's.",
    ),
    "no_gaps": ("没有断录。", "Nothing is missing."),
    "cause": ("原因", "Cause"),
    "evidence": ("依据", "What this rests on"),
    "length": ("时长", "Length"),
    "play": ("播放", "Watch"),
    "play_from": ("从此刻播放", "Watch from this moment"),
    "moment": ("时刻", "Moment"),
    "bar_hint": (
        "点击时间条上的任意位置,从该时刻播放。",
        "Click anywhere on a bar to watch from that moment.",
    ),
    "rendition_pending": (
        "浏览器不能直接播放此编码(H.265),兼容副本正在准备中。您可以先导出原始文件。",
        "Browsers can't play this coding (H.265). A copy that they can play is being made;"
        " meanwhile you can export the original.",
    ),
    "rendition_later": (
        "浏览器不能直接播放此编码(H.265),兼容副本在录制结束后生成。",
        "Browsers can't play this coding (H.265). A copy that they can play is made when the recording has ended.",
    ),
    "rendition_failed": (
        "浏览器不能直接播放此编码(H.265),兼容副本生成失败,一小时后可重试。您可以导出原始文件。",
        "Browsers can't play this coding (H.265), and no copy that they can play could be made. It can be tried again"
        " in an hour; you can export the original.",
    ),
    "is_copy": (
        "正在播放浏览器兼容副本,不是封存的原始文件;导出得到的是原始文件。",
        "This is a copy made for browsers, not the sealed original; an export gives the original.",
    ),
    "play_failed": (
        "浏览器无法播放这段录像。您可以导出后用其他播放器打开。",
        "Your browser can't play this. Export it and open it with another player.",
    ),
    "parts": (
        "这段时间内编码参数发生过变化,请分段播放:",
        "The coding changed during this time. Watch it part by part:",
    ),
    "no_media_at": ("该时刻没有录像。", "There is no recording at that moment."),
    "kept": ("保管期限", "Kept"),
    "kept_until": ("保管至 {until}", "Kept until {until}"),
    "because": ("原因:{reason}", "because {reason}"),
    "kept_unknown": ("录制并入库后确定。", "Decided when it is recorded and stored."),
    "vault": ("保管库", "Vault"),
    "seal": ("封存", "Seal"),
    "sealed_at": ("第 {revision} 版,封存于 {at}", "Revision {revision}, sealed at {at}"),
    "not_sealed": ("尚未封存。", "Not sealed yet."),
    "signer": ("签名证书指纹", "Signer's certificate"),
    "verification": ("校验", "Verification"),
    "verify": ("立即校验", "Verify now"),
    "verified_ok": ("{at} 校验通过:所有字节与封存时一致。", "Verified at {at}: every byte is as it was sealed."),
    "verified_bad": ("{at} 校验发现问题:", "The verification at {at} found:"),
    "never_verified": ("尚未校验。", "Not verified yet."),
    "export": ("导出", "Export"),
    "export_hint": (
        "生成可带走的 MP4 文件和校验清单。不填时间则导出整个时段。",
        "Makes MP4 files to take away, and a list of their digests. Without times, the whole window.",
    ),
    "export_submit": ("生成导出文件", "Make the export"),
    "stop": ("停止录制", "Stop recording"),
    "stop_sure": (
        "停止后不能恢复,剩余时间将记为“人工停止”。",
        "This can't be undone; the rest of the window will be stated as stopped by a person.",
    ),
    "stop_yes": ("确认停止", "Yes, stop now"),
    "cancel": ("取消预约", "Cancel the booking"),
    "cancel_sure": ("取消后不能恢复,但可以重新预约。", "This can't be undone, but you can book again."),
    "cancel_yes": ("确认取消", "Yes, cancel it"),
    "extend": ("延长", "Extend"),
    "new_end": ("新的结束时间", "New end"),
    "job": ("任务", "Job"),
    "job_export": ("导出", "Export"),
    "job_verify": ("校验", "Verification"),
    "job_queued": ("排队中", "Waiting"),
    "job_running": ("进行中", "Running"),
    "job_done": ("已完成", "Done"),
    "job_failed": ("失败", "Failed"),
    "job_wait": ("本页会自动刷新。", "This page refreshes by itself."),
    "files": ("文件", "Files"),
    "size": ("大小", "Size"),
    "digest": ("SHA-256", "SHA-256"),
    "index": ("校验清单", "List of digests"),
    "back": ("返回", "Back"),
    "more": ("下一页", "Next page"),
    "search": ("查找", "Find"),
    "matched": ("匹配的时间", "Matched"),
    "why": ("匹配", "Why"),
    "projects": ("项目", "Projects"),
    "locations": ("房间", "Rooms"),
    "number": ("项目编号", "Number"),
    "project_title": ("项目名称", "Title"),
    "buyer": ("采购人", "Buyer"),
    "method": ("采购方式", "Method"),
    "name": ("名称", "Name"),
    "address": ("地址", "Address"),
    "address_hint": (
        "例如 rtsp://用户:密码@192.168.1.20:554/stream。保存后只显示主机和端口,其余加密保存。",
        "Like rtsp://user:password@192.168.1.20:554/stream. Once saved, only host and port are shown.",
    ),
    "add_project": ("登记项目", "Add a project"),
    "add_location": ("登记房间", "Add a room"),
    "add_source": ("登记设备", "Add a camera or microphone"),
    "add": ("保存", "Save"),
    "test": ("测试连接", "Test"),
    "test_ok": ("连接正常:{codecs}", "It answers: {codecs}"),
    "test_bad": ("无法连接:{problem}", "It doesn't answer: {problem}"),
    "remove": ("移除", "Remove"),
    "remove_sure": ("已录制的内容不受影响。", "What was recorded stays."),
    "remove_yes": ("确认移除", "Yes, remove it"),
    "saved": ("已保存。", "Saved."),
    "removed": ("已移除。", "Removed."),
    "ended": ("已结束 {day}", "ended {day}"),
    "all_sources": ("全部", "All"),
    "error_401": ("请先登录。", "Please sign in."),
    "error_403": ("您没有此项权限,请联系管理员。", "You may not do this; ask an administrator."),
    "error_404": ("没有找到您要的内容。", "What you look for isn't here."),
    "error_405": ("不支持此操作。", "This can't be done here."),
    "error_409": ("当前状态不允许此操作。", "The present state doesn't allow that."),
    "error_422": ("提交的内容有误。", "Something that was sent can't be used."),
    "error_500": ("系统出错,请联系管理员。", "The archive failed; tell an administrator."),
    "error_503": ("暂时无法完成,请稍后再试。", "Not possible now; please try again."),
    "error": ("无法完成", "That didn't work"),
    "home": ("返回首页", "Back to the start"),
    "state_booked": (CHINESE["booked"], "booked"),
    "state_recording": (CHINESE["recording"], "recording"),
    "state_sealing": (CHINESE["sealing"], "sealing"),
    "state_sealed": (CHINESE["sealed"], "sealed"),
    "state_cancelled": (CHINESE["cancelled"], "cancelled"),
    "state_disposed": (CHINESE["disposed"], "disposed"),
}

_SHORT_MISTAKES: Mapping[Mistake, str] = {
    Mistake.REQUIRED: "必填",
    Mistake.TOO_LONG: "太长,最多 200 个字",
    Mistake.CONTROL_CHARACTERS: "不能包含控制字符",
    Mistake.NOT_UTF8: "必须为 UTF-8 编码",
    Mistake.UNKNOWN_PROJECT: "没有这个项目",
    Mistake.UNKNOWN_LOCATION: "没有这个房间",
    Mistake.UNKNOWN_SOURCE: "该房间没有这个设备",
    Mistake.NO_SOURCES: "该房间还没有设备,请先登记设备",
    Mistake.NO_OFFSET: "请填写完整的日期和时间",
    Mistake.END_NOT_AFTER_START: "必须晚于开始时间",
    Mistake.WINDOW_ENDED: "已经过去,请填写将来的结束时间",
    Mistake.WINDOW_TOO_LONG: "一次最多 24 小时,更长请分次预约",
    Mistake.WINDOW_TOO_FAR: "超过一年之后,请检查年份",
    Mistake.END_NOT_LATER: "必须晚于现在的结束时间",
    Mistake.PROJECT_ENDED: "该项目已结束",
    Mistake.NOTHING_TO_CHANGE: "没有需要更改的内容",
    Mistake.ALREADY_BEGUN: "已经开始录制,只能延长或停止",
    Mistake.CANCEL_BEGUN: "已经开始录制,请改为停止",
    Mistake.NOT_BEGUN: "尚未开始录制,请改为取消",
    Mistake.OVER: "已经结束,不能再更改",
    Mistake.STOPPED: "已被停止,请重新预约",
    Mistake.KEY_REUSED: "此请求编号已用于其他请求",
    Mistake.KEY_MALFORMED: "请求编号格式不对",
    Mistake.ADDRESS_FORM: "地址格式应如 rtsp://用户:密码@192.168.1.20:554/stream",
    Mistake.ADDRESS_SCHEME: "只允许 rtsp:// 或 rtsps:// 地址",
    Mistake.ADDRESS_NETWORK: "该主机不在允许录制的网络范围内",
    Mistake.ADDRESS_UNRESOLVED: "无法解析主机名",
    Mistake.OUTSIDE_WINDOW: "必须在录制时段之内",
    Mistake.FORMAT_UNKNOWN: "只能是 mp4",
    Mistake.SOURCE_NOT_CAPTURED: "此设备不在该任务中",
    Mistake.NO_MEDIA: "该时段没有录像",
    Mistake.RENDITION_PENDING: "浏览器兼容副本尚未准备好,请稍后再试",
    Mistake.CURSOR: "页码无效",
}


_PHRASES: Mapping[str, str] = {
    "the procurement has not ended": "采购尚未结束",
    "the procurement ended on": "采购结束日期为",
    "Government Procurement Law Art. 42 asks for 15 years from its end": (
        "《政府采购法》第四十二条规定自采购结束之日起至少保存十五年"
    ),
    "the date moves on each year": "在此之前保管期限逐年顺延",
    "no media, and no recorder said why": "没有音视频数据,录制程序也未说明原因",
    "no recorder had begun": "录制程序尚未开始",
    "stopped by a person at": "人工停止于",
}
"""Sentences of retention and coverage, as they are written there."""


def word(language: Language, key: str, **values: object) -> str:
    """A word of the page; `values` fill its braces."""
    return WORDS[key][LANGUAGES.index(language)].format(**values)


def mistake(language: Language, message: str) -> str:
    """What is wrong with an input, in the reader's language; as it is where nobody translated it."""
    known = {str(one): text for one, text in _SHORT_MISTAKES.items()}
    return known.get(message, message) if language == "zh" else message[:1].upper() + message[1:]


def reason(language: Language, text: str) -> str:
    """Why a record is kept: what follows the date, which the page shows itself."""
    _, _, because = text.partition(" because ")
    return said(language, because or text)


def said(language: Language, text: str) -> str:
    """What the archive itself states in English, in the reader's language where a phrase is known."""
    if language == "en":
        return text
    for phrase, chinese in _PHRASES.items():
        text = text.replace(phrase, chinese)
    return text


def term(language: Language, value: str) -> str:
    """A word of the vocabulary, such as a gap's cause or a vault's label."""
    return CHINESE.get(value, value) if language == "zh" else value.replace("_", " ")


def as_language(text: str) -> Language | None:
    return next((one for one in LANGUAGES if one == text), None)
