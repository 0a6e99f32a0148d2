"""HTTP to one Prometheus server: only the host that was named, no redirects, no proxies, answers checked."""

from __future__ import annotations

import base64
import http.client
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from aifactory.errors import InputError
from aifactory.inputs.importers.telemetry.prometheus.answers import (
    MAX_BYTES,
    Series,
    parse_answer,
    parse_json,
    said_with,
)

TIMEOUT_S = 60.0
TOKEN, USER, PASSWORD = "AIFACTORY_PROMETHEUS_TOKEN", "AIFACTORY_PROMETHEUS_USER", "AIFACTORY_PROMETHEUS_PASSWORD"  # noqa: S105
LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Server answers of so many bytes of an error are read for their words.
ERROR_BYTES = 100_000
#: Points that a server gives for one series at most (its own limit is 11,000).
MAX_POINTS = 10_000


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would lead to another address than the one that was named."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


@dataclass(frozen=True)
class Server:
    """A Prometheus server, or what speaks its API, at `url`; `said` are the warnings of its answers."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = TIMEOUT_S
    said: list[str] = field(default_factory=list, repr=False)

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.url).netloc

    @property
    def unsafe(self) -> bool:
        """Whether a secret travels unencrypted to another machine."""
        parts = urlsplit(self.url)
        return bool(self.headers) and parts.scheme == "http" and parts.hostname not in LOOPBACK

    def names(self, start: float, end: float) -> list[str]:
        """Names of all metrics with samples between two times."""
        held = self._get("label/__name__/values", {"start": f"{start:.3f}", "end": f"{end:.3f}"})
        return [str(name) for name in self._data(held, list)]

    def labels_of(self, metric: str, start: float, end: float) -> list[dict[str, str]]:
        """Label sets of a metric between two times."""
        parameters = {"match[]": selector(metric), "start": f"{start:.3f}", "end": f"{end:.3f}"}
        found = self._data(self._get("series", parameters), list)
        return [{str(key): str(value) for key, value in item.items()} for item in found if isinstance(item, dict)]

    def samples(self, what: str, start: float, end: float) -> list[Series]:
        """The samples as scraped, of a selector such as `metric{job="a"}`, from start to end; empty without any."""
        query = f"{what}[{max(round((end - start) * 1000), 1)}ms]"
        return self._series(self._get("query", {"query": query, "time": f"{end:.3f}"}))

    def last_samples(self, what: str, start: float, end: float, step: int) -> list[Series]:
        """The last sample of every step from start to end, at most 10,000 steps."""
        parameters = {"query": f"last_over_time({what}[{step}s])", "start": f"{start:.3f}", "end": f"{end:.3f}"}
        return self._series(self._get("query_range", parameters | {"step": str(step)}))

    def _series(self, held: object) -> list[Series]:
        data = held.get("data") if isinstance(held, dict) else None
        self.said.extend(said_with(held))
        empty = isinstance(data, dict) and data.get("result") == []
        return [] if empty else parse_answer(self.host, held)

    def _data(self, held: object, kind: type) -> list:
        if not isinstance(held, dict) or held.get("status") != "success" or not isinstance(held.get("data"), kind):
            parse_answer(self.host, held)
            raise InputError.at(self.host, "answered with something else than a list")
        return held["data"]

    def _get(self, path: str, parameters: Mapping[str, str]) -> object:
        address = f"{self.url}/api/v1/{path}?{urlencode(parameters)}"
        request = Request(address, headers={"Accept": "application/json", **self.headers})  # noqa: S310 - scheme checked
        try:
            with _opener().open(request, timeout=self.timeout_s) as answer:
                return self._json(answer.read(MAX_BYTES + 1), answer.headers.get("Content-Type", ""))
        except HTTPError as error:
            raise self._refusal(error) from None
        except (URLError, http.client.HTTPException, TimeoutError, ConnectionError, OSError) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, TimeoutError) or "timed out" in str(reason):
                rule = f"gave no answer within {self.timeout_s:g} s; ask for a shorter period"
                raise InputError.at(self.host, rule) from None
            raise InputError.at(self.host, f"cannot be reached: {str(reason)[:120]}") from None

    def _json(self, raw: bytes, kind: str) -> object:
        if "html" in kind.lower() or raw.lstrip()[:1] == b"<":
            rule = "answered with a web page, not the API of Prometheus (a login page, or a path is missing)"
            raise InputError.at(self.host, rule)
        return parse_json(self.host, raw)

    def _refusal(self, error: HTTPError) -> InputError:
        said = _said(error)
        if error.code in (401, 403):
            rule = f"refused the login ({error.code}); set {TOKEN}, or {USER} and {PASSWORD}, in the environment"
        elif 300 <= error.code < 400:
            rule = f"sends to another address ({error.code}), which is not followed; name that address itself"
        elif error.code == 404:
            rule = "has no API of Prometheus at this address (404); does its path have a prefix?"
        elif said:
            hint = " Ask for a shorter period." if error.code in (422, 503) else ""
            rule = f"Prometheus answered with an error ({error.code}): {said}.{hint}"
        else:
            rule = f"answered with HTTP {error.code}"
        return InputError.at(self.host, rule)


def _said(error: HTTPError) -> str:
    """The server's own words, where it answered in JSON."""
    stream: IO[bytes] = error
    try:
        held = parse_json("", stream.read(ERROR_BYTES))
    except (InputError, OSError, http.client.HTTPException):
        return ""
    return str(held.get("error", ""))[:300].rstrip(".") if isinstance(held, dict) else ""


def _opener() -> OpenerDirector:
    return build_opener(ProxyHandler({}), _NoRedirects())


def selector(metric: str, labels: Mapping[str, str] | None = None) -> str:
    """A PromQL selector of one metric, quoted.

    >>> selector("up", {"job": "vllm"})
    '{__name__="up", job="vllm"}'
    """
    pairs = {"__name__": metric} | dict(labels or {})
    inner = ", ".join(f'{key}="{_quoted(value)}"' for key, value in pairs.items())
    return f"{{{inner}}}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def is_address(text: str) -> bool:
    """Whether a source is the address of a server rather than a file."""
    return text.lower().startswith(("http://", "https://"))


def open_server(url: str, environment: Mapping[str, str] | None = None) -> Server:
    """A server at an address; the login comes from the environment and is never stored or printed.

    Raises
    ------
    InputError
        If the address holds a login or a query, which would be stored with the report.
    """
    held = os.environ if environment is None else environment
    parts = urlsplit(url)
    try:
        known = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if parts.scheme not in ("http", "https") or not known:
        raise InputError("must be an address such as http://host:9090")
    if parts.username or parts.password or "@" in parts.netloc:
        raise InputError(f"an address must not hold a login; set {TOKEN}, or {USER} and {PASSWORD}, in the environment")
    if parts.query or parts.fragment:
        raise InputError.at(parts.netloc, "an address must not hold a query; name the server only")
    return Server(url.rstrip("/").removesuffix("/api/v1"), _login(held))


def _login(environment: Mapping[str, str]) -> dict[str, str]:
    token, user = environment.get(TOKEN, ""), environment.get(USER, "")
    if token and user:
        raise InputError(f"set {TOKEN} or {USER}, not both")
    if any(mark in token + user + environment.get(PASSWORD, "") for mark in "\r\n"):
        raise InputError(f"{TOKEN}, {USER} and {PASSWORD} must each be one line")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        pair = f"{user}:{environment.get(PASSWORD, '')}".encode()
        return {"Authorization": "Basic " + base64.b64encode(pair).decode()}
    return {}
