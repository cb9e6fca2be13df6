"""Asking the HTTP interface from a page: in this process, as the visitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fastapi import Request

if TYPE_CHECKING:
    import httpx2

# what a page's own request says of who comes and from where; nothing else is passed on
_PASSED = ("cookie", "user-agent", "x-forwarded-for", "forwarded", "client-cert", "client-cert-chain", "origin", "sec-fetch-site", "host")


class Refused(Exception):
    """The interface said no: its problem document, as it answered it."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        super().__init__(document.get("code", str(status)))
        self.status = status
        self.document = document

    @property
    def code(self) -> str:
        return str(self.document.get("code", ""))

    def of_the_form(self) -> dict[str, Any]:
        """The problem, to be shown beside the form it is about. Raises it again when it is about the visitor, who is not to fill in more."""
        if self.status == 401 or self.code == "auth_csrf":
            raise self
        return self.document


class Interface:
    """The interface, for one visitor's request. `csrf` is what the visitor's form sent: the interface checks it, as anybody's."""

    def __init__(self, request: Request, language: str, csrf: str = "") -> None:
        import httpx2  # with the first page: a start need not wait for it

        headers = {name: value for name in _PASSED if (value := request.headers.get(name))}
        self._headers = {**headers, "accept-language": language, **({"x-csrf-token": csrf} if csrf else {})}
        client = (request.client.host, request.client.port) if request.client else ("127.0.0.1", 0)
        self._transport = httpx2.ASGITransport(app=cast(Any, request.app), client=client)
        self._base = f"{request.url.scheme}://{request.url.netloc}"

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON that is answered. `Refused` otherwise. None values are left out of the query."""
        return (await self._ask("GET", path, query)).json()

    async def maybe(self, path: str, **query: Any) -> Any:
        """The same, None where the visitor may not see it or it is not there."""
        try:
            return await self.get(path, **query)
        except Refused as refused:
            if refused.status in (403, 404):
                return None
            raise

    async def post(self, path: str, body: Any = None, *, key: str = "", **query: Any) -> Any:
        """The JSON that is answered, None for no content. `key`: asks with this key instead of the visitor's session."""
        answer = await self._ask("POST", path, query, body={} if body is None else body, key=key)
        return answer.json() if answer.content else None

    async def upload(self, path: str, data: bytes, **query: Any) -> Any:
        """The JSON that is answered to a file."""
        return (await self._ask("POST", path, query, content=data)).json()

    async def text(self, path: str, **query: Any) -> str:
        return (await self._ask("GET", path, query)).text

    async def raw(self, path: str, **query: Any) -> httpx2.Response:
        """The answer as it is, for what is passed on byte by byte."""
        return await self._ask("GET", path, query)

    async def _ask(
        self, method: str, path: str, query: dict[str, Any], *, body: Any = None, content: bytes | None = None, key: str = ""
    ) -> httpx2.Response:
        import httpx2

        headers = dict(self._headers)
        if key:
            headers = {name: value for name, value in headers.items() if name != "cookie"} | {"authorization": f"Bearer {key}"}
        sent: dict[str, Any] = {"json": body} if content is None else {"content": content}
        if method != "POST":
            sent = {}
        elif content is not None:
            headers = {**headers, "content-type": "application/octet-stream"}
        given = {name: value for name, value in query.items() if value not in (None, "")}
        request = httpx2.Request(method, self._base + path, params=given, headers=headers, **sent)
        answer = await self._transport.handle_async_request(request)
        await answer.aread()
        if answer.status_code >= 400:
            try:
                document = answer.json()
            except ValueError:
                document = {}
            raise Refused(answer.status_code, document)
        return answer
