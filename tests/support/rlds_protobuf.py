"""`tf.train.Example` as protobuf's own message class, built from a descriptor: an oracle for the reader."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as FieldProto

_BYTES, _FLOAT, _INT64, _STRING, _MESSAGE = 12, 2, 3, 9, 11


def _add(
    message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: int, **options: object
) -> None:
    field = message.field.add(name=name, number=number, type=kind, label=FieldProto.LABEL_OPTIONAL)
    for option, value in options.items():
        setattr(field, option, value)


def example_class() -> type:
    """The message class of tensorflow/core/example/example.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tf", syntax="proto3")
    for name, kind in (("BytesList", _BYTES), ("FloatList", _FLOAT), ("Int64List", _INT64)):
        _add(file.message_type.add(name=name), "value", 1, kind, label=FieldProto.LABEL_REPEATED)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, kind) in enumerate({"bytes": "Bytes", "float": "Float", "int64": "Int64"}.items(), 1):
        _add(feature, f"{name}_list", number, _MESSAGE, type_name=f".tf.{kind}List", oneof_index=0)
    features = file.message_type.add(name="Features")
    _add(
        features,
        "feature",
        1,
        _MESSAGE,
        type_name=".tf.Features.FeatureEntry",
        label=FieldProto.LABEL_REPEATED,
    )
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    _add(entry, "key", 1, _STRING)
    _add(entry, "value", 2, _MESSAGE, type_name=".tf.Feature")
    _add(file.message_type.add(name="Example"), "features", 1, _MESSAGE, type_name=".tf.Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tf.Example"))
