"""Message classes of the project's protobuf definitions, built at run time from what ./dev compiled with protoc-c."""

from __future__ import annotations

import os
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ROOT = Path(__file__).resolve().parents[2]
_DESCRIPTORS = Path(os.environ.get("SKEIN_DESCRIPTORS", ROOT / ".tools" / "skein.protoset"))

_pool = descriptor_pool.DescriptorPool()
for _file in descriptor_pb2.FileDescriptorSet.FromString(_DESCRIPTORS.read_bytes()).file:
    _pool.Add(_file)


def _message(name: str) -> type:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"skein.v1.{name}"))


EventBatch = _message("EventBatch")
ExportTraceServiceRequest = _message("otlp.ExportTraceServiceRequest")
Span = _message("otlp.Span")

KIND_SCOPE, KIND_MARK = 1, 2
PHASE_NONE, PHASE_START, PHASE_END = 0, 1, 2
