"""The documentation page: rendered on the server from the OpenAPI document and the table of problems. No script, no font, no network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from api.statuses import status_of
from policies.problem import KINDS, Language

STYLE = """
:root{color-scheme:light dark;--ink:light-dark(#1c2430,#dfe5ee);--soft:light-dark(#5a6675,#9aa7b8);--line:light-dark(#d9dfe7,#2f3a48);
--bg:light-dark(#fff,#12171e);--box:light-dark(#f5f7fa,#1a212b);--link:light-dark(#0b5cad,#7ab7ff)}
*{box-sizing:border-box}body{margin:0;display:grid;grid-template-columns:17rem minmax(0,1fr);background:var(--bg);color:var(--ink);
font:15px/1.6 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.5rem 1rem;border-right:1px solid var(--line);font-size:13px}
nav ul{list-style:none;margin:0;padding:0}nav p{margin:1rem 0 .2rem;color:var(--soft)}nav a{display:block;padding:.1rem 0}
main{max-width:60rem;padding:1.5rem 2.5rem 6rem}h1{font-size:1.7rem}h2{margin-top:3rem;border-bottom:1px solid var(--line)}
section{margin:2rem 0}section:target,tr:target{background:light-dark(#fff8db,#3a3413)}h3{margin:.2rem 0;font-size:1.05rem}
code,pre{font:13px/1.5 ui-monospace,"SFMono-Regular",Menlo,Consolas,"Noto Sans Mono CJK SC",monospace}
pre{background:var(--box);border:1px solid var(--line);border-radius:6px;padding:.8rem;overflow:auto}a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}table{border-collapse:collapse;width:100%;margin:.6rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line)}th{color:var(--soft);font-weight:500}
b{font:600 11px/1 ui-monospace,monospace;text-transform:uppercase;color:#1a7f37}b.post{color:#9a6700}b.head{color:#6e7781}
.lead{margin:.2rem 0}.note{color:var(--soft)}summary{cursor:pointer;color:var(--soft)}
@media(max-width:50rem){body{display:block}nav{position:static;height:auto;border:0}main{padding:1rem}}
"""
STYLE_SOURCE = "'sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode() + "'"
CSP = f"default-src 'none'; style-src {STYLE_SOURCE}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

_QUICK = """curl {base}/v1/jobs/check -H "Authorization: Bearer $YUNEI_KEY" -H "Content-Type: application/json" -d '{body}'"""
WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "title": "域内 HTTP 接口",
        "contents": "目录",
        "intro": "被授权运营单位提交作业，作业在数据旁边运行，带噪声的结果表连同误差、支出与回执发布出来。"
        "同一请求体可先“报价”（免费）、再“试跑”（虚构数据，免费）、最后“正式运行”（支出隐私预算）。",
        "machine": "机器可读的接口说明：",
        "roles": "可用角色：",
        "parameter": "参数",
        "where": "位置",
        "meaning": "含义",
        "body": "请求体：",
        "status": "状态",
        "answer": "应答",
        "example": "示例",
        "problems": "错误代码",
        "problems_intro": "拒绝与失败是 application/problem+json（RFC 9457），附稳定代码、两种语言与处理办法。"
        "读取原始数据之后，失败只有一种说法：job_failed。",
        "remedy": "怎么办",
        "schemas": "数据结构",
        "field": "字段",
        "type": "类型",
    },
    "en": {
        "title": "yunei HTTP interface",
        "contents": "Contents",
        "intro": "A licensed operator submits a job, it runs beside the data, and a noised table comes out with its error, price and receipt. "
        "One body, three uses: check (free), dummy run (invented rows, free), real run (spends privacy budget).",
        "machine": "For machines:",
        "roles": "Roles:",
        "parameter": "parameter",
        "where": "in",
        "meaning": "meaning",
        "body": "Body:",
        "status": "status",
        "answer": "answer",
        "example": "Example",
        "problems": "Problem codes",
        "problems_intro": "Refusals and failures are application/problem+json (RFC 9457) with a stable code, both languages and a remedy. "
        "Once rows have been read there is one way to fail: job_failed.",
        "remedy": "what to do",
        "schemas": "Schemas",
        "field": "field",
        "type": "type",
    },
}


def in_language(text: str, language: Language) -> str:
    """One side of a "中文 · English" pair; a text that is not a pair is itself.

    >>> in_language("提交作业 · Submit a job", "en"), in_language("plain", "zh")
    ('Submit a job', 'plain')
    """
    zh, mark, en = text.partition(" · ")
    return text if not mark else (zh if language == "zh" else en)


def render(document: Mapping[str, Any], language: Language) -> str:
    """The page for one OpenAPI document."""
    schemas: Mapping[str, Any] = document.get("components", {}).get("schemas", {})
    body = schemas.get("JobRequest", {}).get("examples", [{}])[0]
    page: str = _template().render(
        language=language,
        words={**WORDS[language], "quick": _QUICK.format(base="http://127.0.0.1:8640", body=json.dumps(body, ensure_ascii=False))},
        style=Markup(STYLE),  # noqa: S704  # a constant of this module; escaping would break its quotes and its hash
        groups=list(_groups(document, schemas, language)),
        problems=[
            {"code": code, "status": status_of(code), "title": words.title, "remedy": words.remedy}
            for code, kind in sorted(KINDS.items())
            for words in (kind.zh if language == "zh" else kind.en,)
        ],
        schemas=[_schema(name, schema) for name, schema in sorted(schemas.items())],
    )
    return page


@lru_cache(maxsize=1)
def _template() -> Any:
    environment = Environment(loader=PackageLoader("api"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("docs.html.j2")


def _groups(document: Mapping[str, Any], schemas: Mapping[str, Any], language: Language) -> Iterator[dict[str, Any]]:
    for tag in document.get("tags", []):
        operations = [
            _operation(path, method, operation, schemas, language)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if tag["name"] in operation.get("tags", [])
        ]
        yield {"title": in_language(tag["description"], language), "operations": operations}


def _operation(path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any], language: Language) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    bodies = content.get("schema", {}).get("oneOf") or [content.get("schema", {})]  # a body of several kinds, each with its example
    return {
        "id": operation["operationId"],
        "path": path,
        "method": method,
        "title": in_language(operation.get("summary", ""), language),
        "description": in_language(operation.get("description", ""), language),
        "roles": ", ".join(operation.get("x-roles", [])),
        "parameters": [
            {
                "name": parameter["name"],
                "where": parameter["in"],
                "required": parameter.get("required", False),
                "description": in_language(parameter.get("description", ""), language),
            }
            for parameter in operation.get("parameters", [])
        ],
        "bodies": [
            {"name": _reference(schema), "example": _pretty(_example({**content, "schema": schema}, schemas))}
            for schema in bodies
            if _reference(schema)
        ],
        "responses": [_response(status, response, schemas, language) for status, response in operation.get("responses", {}).items()],
    }


def _response(status: str, response: Mapping[str, Any], schemas: Mapping[str, Any], language: Language) -> dict[str, Any]:
    contents: Mapping[str, Any] = response.get("content", {})
    media = next(iter(contents), "")
    content: Mapping[str, Any] = contents[media] if media else {}
    name = _reference(content.get("schema", {}))
    problem = media == "application/problem+json"
    return {
        "status": status,
        "description": in_language(response.get("description", ""), language),
        "media": media,
        "name": name,
        "example": "" if problem else _pretty(_example(content, schemas)),
    }


def _example(content: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    if "example" in content:
        return content["example"]
    schema: Mapping[str, Any] = schemas.get(_reference(content.get("schema", {}))) or {}
    return next(iter(schema.get("examples", [])), None)


def _pretty(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, indent=2)


def _reference(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rsplit("/", 1)[-1]


def _schema(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    required = schema.get("required", [])
    fields = [
        {
            "name": field,
            "type": kind,
            "link": link,
            "required": field in required,
            "description": inner.get("description", ""),
        }
        for field, inner in schema.get("properties", {}).items()
        for kind, link in (_type(inner),)
    ]
    return {"name": name, "description": re.sub(r"\s+", " ", schema.get("description", "")), "fields": fields}


def _type(schema: Mapping[str, Any]) -> tuple[str, str]:
    """What a reader calls a schema's type, and the schema it leads to."""
    if reference := _reference(schema):
        return reference, reference
    if "anyOf" in schema:
        kinds = [_type(option) for option in schema["anyOf"]]
        return " | ".join(kind for kind, _ in kinds), next((link for _, link in kinds if link), "")
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"]), ""
    if schema.get("type") == "array":
        kind, link = _type(schema.get("items", {}))
        return f"[{kind}]", link
    return str(schema.get("format") or schema.get("type") or schema.get("const") or "any"), ""
