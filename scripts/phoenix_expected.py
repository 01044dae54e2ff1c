"""What Phoenix has to list for a recorded run, computed from its events and its pricing alone: nothing of Skein is used.

The rules are those of the openinference projection: a span for each scope that has a start and an end, and for each mark that comes
outside of an open scope; token counts as normalised, where Anthropic's input includes what came from the cache; a cost in USD that
the provider reported, or an estimate from the catalogue.
"""

import json
import math

KINDS = {
    "agent": "AGENT",
    "tool": "TOOL",
    "llm": "LLM",
    "retriever": "RETRIEVER",
    "embedder": "EMBEDDING",
    "reranker": "RERANKER",
    "guardrail": "GUARDRAIL",
    "evaluator": "EVALUATOR",
}
METRIC_SCHEMA = "nemo.relay.metric_measurements"
COUNTS = ("prompt", "completion", "total", "cache_read", "cache_write")
MANUAL = {
    "prompt": ["prompt_tokens", "input_tokens", "inputTokens", "input"],
    "completion": ["completion_tokens", "output_tokens", "completionTokens", "outputTokens", "output"],
    "total": ["total_tokens", "totalTokens", "total"],
    "cache_write": [
        "cache_write_tokens",
        "cache_creation_input_tokens",
        "cacheWriteTokens",
        "cacheCreationInputTokens",
        "cacheWrite",
    ],
}
CACHE_READ = [
    (None, ["cached_tokens", "cachedTokens"]),
    ("prompt_tokens_details", ["cached_tokens"]),
    ("input_tokens_details", ["cached_tokens"]),
    (
        None,
        ["cache_read_tokens", "cache_read_input_tokens", "cacheReadTokens", "cacheReadInputTokens", "cacheRead"],
    ),
]
# Where a surface has its counts, below the usage object.
WIRE = {
    "openai": ("usage", "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details.cached_tokens", ""),
    "openai_responses": (
        "usage",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input_tokens_details.cached_tokens",
        "",
    ),
    "anthropic": (
        "usage",
        "input_tokens",
        "output_tokens",
        "",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    ),
    "google": (
        "usageMetadata",
        "promptTokenCount",
        "candidatesTokenCount",
        "totalTokenCount",
        "cachedContentTokenCount",
        "",
    ),
    "oci": ("usage", "promptTokens", "completionTokens", "totalTokens", "promptTokensDetails.cachedTokens", ""),
}


def span_id(uuid):
    return uuid.replace("-", "")[16:]


def dig(value, path):
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def uint(value):
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def number(value):
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def first(values):
    return next((value for value in values if value is not None), None)


# Usage


def surface(data):
    """Whose response it is; None unless exactly one shape fits."""
    found = []
    if isinstance(data.get("choices"), list):
        found.append("openai")
    if isinstance(data.get("output"), list) or isinstance(data.get("output_text"), str):
        found.append("openai_responses")
    if data.get("type") == "message" and isinstance(data.get("content"), list):
        found.append("anthropic")
    envelope = data.get("chatResponse")
    if "apiFormat" in (envelope if isinstance(envelope, dict) else data):
        found.append("oci")
    if isinstance(data.get("candidates"), list):
        found.append("google")
    return found[0] if len(found) == 1 else None


def decoded_usage(kind, data):
    body = data["chatResponse"] if kind == "oci" and isinstance(data.get("chatResponse"), dict) else data
    where, *paths = WIRE[kind]
    usage = body.get(where)
    if not isinstance(usage, dict):
        return None
    counts = dict(zip(COUNTS, (uint(dig(usage, path)) if path else None for path in paths)))
    if counts["total"] is None and kind in ("anthropic", "google"):
        thoughts = uint(usage.get("thoughtsTokenCount")) or 0
        parts = (counts["prompt"], counts["completion"])
        counts["total"] = sum(parts) + thoughts if None not in parts else None
    return counts


def manual_usage(data):
    sources = [data[key] for key in ("usage", "token_usage") if isinstance(data.get(key), dict)]

    def look(names, member=None):
        holders = [source.get(member) if member else source for source in sources]
        return first(uint(h.get(name)) for h in holders if isinstance(h, dict) for name in names)

    counts = {name: look(keys) for name, keys in MANUAL.items()}
    counts["cache_read"] = first(look(names, member) for member, names in CACHE_READ)
    if counts["total"] is not None and counts["total"] < (counts["prompt"] or 0) + (counts["completion"] or 0):
        counts["total"] = None
    return counts


# Cost


def reported(cost, currency_required=None):
    """The USD amount of a cost object; None when it has none."""
    if not isinstance(cost, dict) or str(cost.get("currency") or "USD").lower() != "usd":
        return None
    total = number(cost.get("total"))
    if total is None and cost.get("source", "provider_reported") == "provider_reported":
        parts = [number(cost.get(key)) for key in ("input", "output", "cache_read", "cache_write")]
        parts = [part for part in parts if part is not None]
        total = sum(parts) if parts else None
    return total


def rounded(value):
    return math.floor(abs(value) * 1e12 + 0.5) / 1e12


def keys(provider, model):
    """How a catalogue is asked: provider and model, then the model alone."""
    model = model.strip().lower()
    segments = [part.strip() for part in model.split("/") if part.strip()]
    if not segments:
        return []
    provider = (provider or "").strip().strip("/").lower()
    asked = [(provider, model), (provider, segments[-1])] if provider else []
    if not provider and len(segments) > 1:
        asked = [("/".join(segments[:-1]), segments[-1])]
    return asked + [(None, "/".join(segments[start:])) for start in range(len(segments))]


def entry_for(catalogues, provider, model):
    for catalogue in catalogues:
        for wanted_provider, wanted_model in keys(provider, model):
            for entry in catalogue["entries"]:
                names = [entry["model_id"], *entry.get("aliases", [])]
                owner = entry["provider"].strip().strip("/").lower()
                if wanted_model in [name.strip().lower() for name in names] and wanted_provider in (None, owner):
                    return entry
    return None


def estimate(entry, counts):
    """The total in USD; None when the entry gives none."""
    used = {name: counts.get(name) or 0 for name in COUNTS}
    if entry.get("unit", "per_token") != "per_token" or not any(used[name] for name in COUNTS if name != "total"):
        return None
    rates = entry.get("rates")
    if "rate_schedule" in entry:
        tiers = entry["rate_schedule"]["tiers"]
        prompt = counts.get("prompt")
        fits = [
            tier["rates"]
            for tier in tiers
            if prompt is not None and tier.get("min_prompt_tokens", 0) <= prompt <= tier.get("max_prompt_tokens", prompt)
        ]
        if not fits:
            return None
        rates = fits[0]
    billable = used["prompt"]
    if entry["prompt_cache"]["read_accounting"] == "included_in_prompt_tokens":
        billable = max(0, billable - used["cache_read"])
    total = 0
    for tokens, rate in [
        (billable, "input_per_million"),
        (used["completion"], "output_per_million"),
        (used["cache_read"], "cache_read_per_million"),
        (used["cache_write"], "cache_write_per_million"),
    ]:
        if tokens > 0:
            if rate not in rates:
                return None
            total += rounded(tokens * rates[rate] / 1_000_000)
    if entry.get("currency", "USD").strip().lower() != "usd":
        return None
    return rounded(total)


def cost(catalogues, end, annotated, kind, counts, manual):
    data = end["data"] if isinstance(end["data"], dict) else {}
    profile = end["category_profile"] or {}
    if annotated:
        stated = (annotated.get("usage") or {}).get("cost")
    elif kind:
        stated = stated_by_provider(data)
    else:
        stated = None
    if isinstance(stated, dict):
        return reported(stated)
    models = [annotated.get("model") if annotated else data.get("model"), profile.get("model_name")]
    asked = [(kind if kind != "openai_responses" else "openai", models[0])] if kind and not annotated else []
    asked += [(end["name"], model) for model in models]
    if counts is not None:
        for provider, model in asked:
            entry = entry_for(catalogues, provider, model) if isinstance(model, str) else None
            if entry:
                return estimate(entry, counts)
    for key in ("usage", "token_usage"):
        usage = data.get(key)
        if isinstance(usage, dict):
            amount = number(usage.get("cost_usd"))
            amount = amount if amount is not None else reported(usage.get("cost"))
            if amount is not None:
                return amount
    if counts is None and any(value is not None for value in manual.values()):
        for model in (data.get("model"), profile.get("model_name")):
            entry = entry_for(catalogues, end["name"], model) if isinstance(model, str) else None
            if entry:
                return estimate(entry, manual)
    return None


def stated_by_provider(data):
    usage = data.get("usage")
    if not isinstance(usage, dict):
        return None
    if number(usage.get("cost_usd")) is not None:
        return {"total": usage["cost_usd"]}
    stated = usage.get("cost")
    return {"total": stated} if number(stated) is not None else stated


def llm_figures(end, catalogues):
    """Token counts and cost of a call, as attributes of the span."""
    data = end["data"] if isinstance(end["data"], dict) else {}
    annotated = (end["category_profile"] or {}).get("annotated_response")
    kind = surface(data)
    counts = None
    if annotated:
        usage = annotated.get("usage")
        if usage is not None:
            counts = {name: usage.get(f"{name}_tokens") for name in COUNTS}
    elif kind:
        counts = decoded_usage(kind, data)
    manual = manual_usage(data)
    merged = {name: first([(counts or {}).get(name), manual[name]]) for name in COUNTS}
    api = ((annotated or {}).get("api_specific") or {}).get("api", "")
    separate = api == "anthropic_messages" or (not annotated and kind == "anthropic")
    if separate or end["name"].lower().startswith(("anthropic", "claude")):
        if merged["prompt"] is not None:
            merged["prompt"] += (merged["cache_read"] or 0) + (merged["cache_write"] or 0)
        if merged["prompt"] is not None and merged["completion"] is not None:
            merged["total"] = merged["prompt"] + merged["completion"]
    return {
        "prompt": merged["prompt"],
        "completion": merged["completion"],
        "total": merged["total"],
        "cost": cost(catalogues, end, annotated, kind, counts, manual),
    }


# Spans


def rows(events_text, catalogues):
    """Span id to what is expected of it."""
    events = [json.loads(line) for line in events_text.splitlines() if line.strip()]
    open_scopes, ended, found = {}, set(), {}

    def parent(event):
        uuid, root = event["parent_uuid"], event.get("propagation_root_uuid")
        if uuid is None:
            return None
        is_remote = root is not None and root not in (uuid, event["uuid"])
        return span_id(uuid) if uuid in open_scopes or uuid in ended or is_remote else None

    def row(event, name, kind, parent, status, figures=None):
        empty = dict.fromkeys(("prompt", "completion", "total", "cost"))
        found[span_id(event["uuid"])] = {
            "name": name,
            "kind": kind,
            "parent": parent,
            "status": status,
            **(figures or empty),
        }

    for event in events:
        if event["timestamp"] < "1970":
            continue
        if event["kind"] == "mark":
            if event["parent_uuid"] not in open_scopes and (event["data_schema"] or {}).get("name") != METRIC_SCHEMA:
                row(event, f"mark:{event['name']}", "CHAIN", parent(event), "UNSET")
        elif event["scope_category"] == "start":
            open_scopes.setdefault(event["uuid"], (event, parent(event)))
        elif event["uuid"] in open_scopes:
            start, above = open_scopes.pop(event["uuid"])
            ended.add(event["uuid"])
            metadata = event["metadata"] if isinstance(event["metadata"], dict) else {}
            status = metadata.get("otel.status_code")
            row(
                *(event, start["name"], KINDS.get(start["category"], "CHAIN"), above),
                status if status in ("OK", "ERROR") else "UNSET",
                llm_figures(event, catalogues) if start["category"] == "llm" else None,
            )
    return found
