"""What requests may hold. Unknown fields are refused."""

from datetime import date, datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from archiver.vocabulary import EndBasis


def _within_the_calendar(moment: datetime) -> datetime:
    if not 1970 <= moment.year < 9000:
        raise ValueError("a year from 1970 to 8999 is expected")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_within_the_calendar)]
"""ISO 8601 with an offset."""

Id = Annotated[str, Path(pattern=r"^[0-9a-z]{26}$", examples=["01kagb8s3j0z9v7qk5r2n4m6p8"])]
IdText = Annotated[str, Field(pattern=r"^[0-9a-z]{26}$", examples=["01kagb8s3j0z9v7qk5r2n4m6p8"])]
Text = Annotated[str, Field(max_length=1000)]
Limit = Annotated[int, Query(ge=1, le=500, description="Items a page.")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before.")]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectBody(Body):
    number: Text = Field(examples=["ZFCG-2026-0117"])
    title: Text = Field(examples=["市政务云服务采购"])
    buyer: Text | None = None
    method: Text | None = Field(None, examples=["公开招标"])
    lots: list[Text] = Field(default=[], max_length=200)


class ProjectChange(Body):
    number: Text | None = None
    title: Text | None = None
    buyer: Text | None = None
    method: Text | None = None
    lots: list[Text] | None = Field(None, max_length=200)


class EndBody(Body):
    date: date
    basis: EndBasis
    document: Text = Field(examples=["验收报告 2026-15"])
    signer: Text = Field(examples=["王敏"])


class LocationBody(Body):
    name: Text = Field(examples=["开标一室"])


class SourceBody(Body):
    location: IdText
    name: Text = Field(examples=["主席台机位"])
    url: Text = Field(examples=["rtsp://user:password@192.168.1.20:554/stream"])


class SourceChange(Body):
    name: Text | None = None
    url: Text | None = None


class CaptureBody(Body):
    project: IdText
    location: IdText
    start: Moment = Field(examples=["2026-11-24T09:30:00+08:00"])
    end: Moment = Field(examples=["2026-11-24T11:30:00+08:00"])
    title: Text | None = None
    sources: list[IdText] = Field(default=[], max_length=100, description="Empty: every source of the location.")


class CaptureChange(Body):
    start: Moment | None = None
    end: Moment | None = None
    title: Text | None = None


class ExtendBody(Body):
    end: Moment = Field(examples=["2026-11-24T12:00:00+08:00"])


class ExportBody(Body):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    start: Moment | None = Field(None, alias="from", examples=["2026-11-24T09:30:00+08:00"])
    end: Moment | None = Field(None, alias="to", examples=["2026-11-24T10:00:00+08:00"])
    sources: list[IdText] = Field(default=[], max_length=100, description="Empty: every source of the capture.")
    format: Text = Field("mp4", examples=["mp4"])


class SessionBody(Body):
    token: Text
