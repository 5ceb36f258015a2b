"""Kubernetes objects as plain data: what a client library's model would send, without a client."""

from typing import Any


def plain(model: Any) -> Any:
    """Return a `kubernetes_asyncio` model as the JSON that it stands for, without its empty fields."""
    if isinstance(model, dict):
        return {key: plain(value) for key, value in model.items()}
    if isinstance(model, (list, tuple)):
        return [plain(item) for item in model]
    if hasattr(model, "attribute_map"):
        values = {key: getattr(model, name) for name, key in model.attribute_map.items()}
        return {key: plain(value) for key, value in values.items() if value is not None}
    return model
