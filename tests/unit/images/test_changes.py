"""`image import -c`: Dockerfile instructions in both of their forms."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.engine.images import changes
from kubeplay.errors import InvalidInput


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["ENV PATH=/bin"], {"Env": ["PATH=/bin"]}),
        (["ENV=PATH=/bin"], {"Env": ["PATH=/bin"]}),
        (["ENV A=1 B=\"two words\" C='x y'"], {"Env": ["A=1", "B=two words", "C=x y"]}),
        (["ENV OLD style here"], {"Env": ["OLD=style here"]}),
        (["ENV A=1", "env A=2", "ENV B=3"], {"Env": ["A=2", "B=3"]}),
        (["CMD sleep 5"], {"Cmd": ["/bin/sh", "-c", "sleep 5"]}),
        (['CMD ["sleep", "5"]'], {"Cmd": ["sleep", "5"]}),
        (["CMD=/bin/sh"], {"Cmd": ["/bin/sh", "-c", "/bin/sh"]}),
        (["CMD [ -f x ] && y"], {"Cmd": ["/bin/sh", "-c", "[ -f x ] && y"]}),
        (['ENTRYPOINT ["/init"]'], {"Entrypoint": ["/init"]}),
        (["EXPOSE 80 53/udp 8000-8010/tcp"], {"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "8000-8010/tcp": {}}}),
        (["LABEL a=1 b=2", "LABEL a=3"], {"Labels": {"a": "3", "b": "2"}}),
        (["STOPSIGNAL SIGINT"], {"StopSignal": "SIGINT"}),
        (["USER app:staff"], {"User": "app:staff"}),
        (["VOLUME /a /b"], {"Volumes": {"/a": {}, "/b": {}}}),
        (['VOLUME ["/../c"]'], {"Volumes": {"/c": {}}}),
        (["WORKDIR /srv", "WORKDIR app"], {"WorkingDir": "/srv/app"}),
        (["WORKDIR ../../x"], {"WorkingDir": "/x"}),
        ([], {}),
    ],
)
def test_changes(given: list[str], found: dict[str, Any]) -> None:
    assert changes.apply(given) == found


@pytest.mark.parametrize(
    "change",
    [
        "",
        "CMD",
        "ENV",
        "ENV A",
        "ENV =x",
        "RUN rm",
        "FROM x",
        "EXPOSE x",
        "EXPOSE 0",
        "EXPOSE 70000",
        "CMD [1]",
        "LABEL a",
        "ENV A=1 B",
        "ENV A='",
        "CMD;x",
    ],
)
def test_refused(change: str) -> None:
    with pytest.raises(InvalidInput, match="--change"):
        changes.apply([change])
