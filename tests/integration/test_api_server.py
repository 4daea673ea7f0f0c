"""The API behind the real server: one connection, many ranges."""

import httpx

from tests.api_server import serving
from tests.archive_rig import Archive


def test_ranges_heads_and_conditions_over_one_connection(archive: Archive, sealed: str) -> None:
    """GET, HEAD, 206, 304, 416 after each other on a kept connection, and the pieces are the whole."""
    url = f"/api/v1/captures/{sealed}/sources/{archive.sources(sealed)[0]}/media.mp4"
    limits = httpx.Limits(max_connections=1)
    with serving(archive) as (address, token), httpx.Client(base_url=address, limits=limits) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        whole = client.get(url)
        size, etag = len(whole.content), whole.headers["etag"]
        assert whole.headers["content-length"] == str(size)
        step = size // 7 + 1
        parts = [client.get(url, headers={"Range": f"bytes={at}-{at + step - 1}"}) for at in range(0, size, step)]
        assert {part.status_code for part in parts} == {206}
        assert b"".join(part.content for part in parts) == whole.content
        head = client.head(url)
        assert (head.headers["content-length"], head.headers["etag"], head.content) == (str(size), etag, b"")
        assert client.get(url, headers={"If-None-Match": etag}).status_code == 304
        assert client.get(url, headers={"Range": f"bytes={size}-"}).status_code == 416
        assert client.get("/healthz").status_code == 200
