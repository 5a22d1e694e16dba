"""`Record`: typing.NamedTuple, made ten times faster.

Making a NamedTuple class costs 0.16 ms, because it compiles a constructor; a play needs some hundred of these classes, and each command
makes them anew. A Record class costs 0.02 ms: fields are the same C getters, and one constructor serves all. Types, defaults,
`_fields`, `_replace`, `_asdict`, immutability, comparison and pickling are a NamedTuple's; type checkers see exactly that.
"""

from __future__ import annotations

__all__ = ["Record"]

TYPE_CHECKING = False  # typing's own costs an import; type checkers go by the name
if TYPE_CHECKING:
    from typing import NamedTuple as Record
else:
    from _collections import _tuplegetter

    def _new(cls, /, *values, **named):
        fields = cls._fields
        if named or len(values) != len(fields):
            values = (*values, *_rest(cls, values, named))
        return tuple.__new__(cls, values)

    def _rest(cls, values, named):
        """The fields that were given by name or not at all."""
        fields, defaults = cls._fields, cls._field_defaults
        if len(values) > len(fields):
            raise TypeError(f"{cls.__name__}() takes {len(fields)} values, {len(values)} were given")
        rest, missing = [], []
        for name in fields[len(values) :]:
            if name in named:
                rest.append(named.pop(name))
            elif name in defaults:
                rest.append(defaults[name])
            else:
                missing.append(name)
        if named or missing:
            what = f"unexpected or twice: {', '.join(named)}" if named else f"missing: {', '.join(missing)}"
            raise TypeError(f"{cls.__name__}(): {what}")
        return rest

    def _replace(self, /, **named):
        fields = self._fields
        values = [named.pop(name) if name in named else value for name, value in zip(fields, self)]
        if named:
            raise ValueError(f"{type(self).__name__} has no field {', '.join(named)}")
        return tuple.__new__(type(self), values)

    def _asdict(self):
        return dict(zip(self._fields, self))

    def _make(cls, values):
        made = tuple.__new__(cls, values)
        if len(made) != len(cls._fields):
            raise TypeError(f"{cls.__name__} takes {len(cls._fields)} values, {len(made)} were given")
        return made

    def _repr(self):
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in zip(self._fields, self))})"

    def _getnewargs(self):
        return tuple(self)

    _METHODS = {
        "__slots__": (), "__new__": _new, "_replace": _replace, "_asdict": _asdict, "_make": classmethod(_make), "__repr__": _repr,
        "__getnewargs__": _getnewargs,
    }  # fmt: skip

    class _Meta(type):
        def __new__(meta, name, bases, body):
            if not bases:
                return type.__new__(meta, name, bases, body)
            annotations = body.get("__annotations__", {})
            fields = tuple(annotations)
            made = {**_METHODS, "__match_args__": fields, "_fields": fields}
            made["_field_defaults"] = {field: body.pop(field) for field in fields if field in body}
            made.update(body)
            made.update((field, _tuplegetter(at, None)) for at, field in enumerate(fields))
            return type(name, (tuple,), made)

    class Record(metaclass=_Meta):
        """The base to write: `class Point(Record): x: int; y: int = 0`."""
