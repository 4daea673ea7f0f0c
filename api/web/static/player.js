"use strict";

// A click on a coverage bar watches that source from that moment.
for (const bar of document.querySelectorAll("svg[data-bar]")) {
  if (!bar.querySelector(".recorded")) continue;
  bar.setAttribute("data-seek", "");
  bar.addEventListener("click", (event) => {
    const box = bar.getBoundingClientRect();
    const start = Number(bar.dataset.start);
    const part = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 0.999);
    const at = new Date((start + part * (Number(bar.dataset.end) - start)) * 1000).toISOString();
    const query = new URLSearchParams({ source: bar.dataset.source, at });
    window.location.assign(`/captures/${bar.dataset.capture}?${query}#player`);
  });
}

// The wall clock under the picture, in the archive's time zone.
const video = document.getElementById("video");
if (video) {
  const wall = document.getElementById("wall");
  const zone = video.dataset.zone.trim();
  const sign = zone.startsWith("-") ? -1 : 1;
  const [hours, minutes] = zone.slice(1).split(":").map(Number);
  const offset = sign * (hours * 60 + minutes) * 60;
  video.addEventListener("timeupdate", () => {
    const moment = new Date((Number(video.dataset.from) + video.currentTime + offset) * 1000);
    wall.textContent = `${moment.toISOString().slice(0, 19).replace("T", " ")} ${zone}`;
  });
  video.addEventListener("error", () => { document.getElementById("play-failed").hidden = false; });
}

// Until there is something to play. (A refresh by the page's head would only jump to its #player.)
if (document.getElementById("making")) setTimeout(() => window.location.reload(), 3000);

// Filters that act at once.
for (const choice of document.querySelectorAll("[data-submit]")) {
  choice.addEventListener("change", () => choice.form.requestSubmit());
}
