"""Where each key and item of a document stands: a second reading, done only when a fault has to be shown."""

from __future__ import annotations

from typing import Any

from kubeplay.kube.document import Place


def places(text: bytes, line: int, column: int) -> Place:
    """The places of a document whose first character is at `line`, `column` (from 1)."""
    import yaml
    from yaml._yaml import CParser

    parser = CParser(text)
    root = Place(line, column)
    try:
        parser.get_event()
        if isinstance(parser.get_event(), yaml.DocumentStartEvent):
            reader = _Reader(parser, line, column)
            root = reader.node(parser.get_event())
    except yaml.YAMLError:
        # JSON that YAML cannot read (a very long key, say): the start of the document is all there is to tell.
        pass
    return root


class _Reader:
    def __init__(self, parser: Any, line: int, column: int) -> None:
        self.parser = parser
        self.line = line
        self.column = column
        self.anchors: dict[str, Place] = {}

    def _place(self, mark: Any) -> Place:
        return Place(self.line + mark.line, mark.column + (self.column if mark.line == 0 else 1))

    def node(self, event: Any) -> Place:
        """The place of the node that starts with `event`."""
        import yaml

        if isinstance(event, yaml.AliasEvent):
            return self.anchors.get(str(event.anchor)) or self._place(event.start_mark)
        place = self._place(event.start_mark)
        if event.anchor is not None:
            self.anchors[event.anchor] = place
        if isinstance(event, yaml.MappingStartEvent):
            self._mapping(place)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._sequence(place)
        return place

    def _sequence(self, place: Place) -> None:
        import yaml

        while not isinstance(event := self.parser.get_event(), yaml.SequenceEndEvent):
            place.items[len(place.items)] = self.node(event)

    def _mapping(self, place: Place) -> None:
        import yaml

        from kubeplay.kube.dialect import restore
        from kubeplay.kube.scalars import key_text, resolve

        while not isinstance(event := self.parser.get_event(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self.node(event)
                self.node(self.parser.get_event())
                continue
            plain = event.implicit[0]
            value = self.node(self.parser.get_event())
            if plain and event.value == "<<":
                for item in reversed([value, *value.items.values()] if 0 in value.items else [value]):
                    place.items.update(item.items)
                continue
            # A field is shown at its key; what it holds keeps its own places.
            shown = self._place(event.start_mark)
            shown.items = value.items
            key = resolve(event.value) if plain else event.value
            place.items[restore(key) if isinstance(key, str) else key_text(key) if key is not None else ""] = shown
