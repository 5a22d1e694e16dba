"""The layer cache: what finds a step again, what does not, and that it goes with its images."""

from __future__ import annotations

import pytest

from kubeplay.errors import BuildError
from tests.support.builds import BASE, Builds, builds, shared_builds

__all__ = ["builds", "shared_builds"]
pytestmark = pytest.mark.root


def test_the_same_build_is_the_same_image(builds: Builds) -> None:
    text, files = "FROM BASE\nENV A=B\nCOPY d /d\nRUN echo $A > /f\nWORKDIR /w\nLABEL x=y\n", {"d/a": "1", "d/b": "2"}
    first = builds(text, files)
    assert builds.told.cached == 0
    assert builds(text, files) == first and builds.told.cached == 3
    again = builds(text, files, no_cache=True)
    assert builds.told.cached == 0
    assert builds(text, files) == again, "the newest layers are what is found"


def test_what_leads_to_another_layer(builds: Builds) -> None:
    def cached(text: str, **more: object) -> int:
        builds(text, {"a": "1"}, **more)
        return builds.told.cached

    base = "FROM BASE\nARG V=1\nCOPY a /a\nRUN echo $V >> /r\n"
    assert cached(base) == 0 and cached(base) == 2
    assert cached("FROM BASE\nARG V=1\nLABEL new=1\nCOPY a /a\n# remark\nRUN echo $V >> /r\n") == 2, "metadata changes no file"
    assert cached(base, build_args=(("V", "2"),)) == 1
    assert cached(base.replace("/a\n", "/b\n")) == 0
    assert cached("FROM BASE\nARG V=1\nENV X=1\nCOPY a /a\nRUN echo $V >> /r\n") == 1, "a program may read any variable"
    assert cached("FROM BASE\nARG V=1\nCOPY a /a\nUSER app\nRUN echo $V; true\n") == 1
    assert cached("FROM BASE\nARG V=1\nCOPY --chmod=600 a /a\n") == 0
    assert cached("FROM BASE\nARG V=1\nCOPY --chown=1 a /a\n") == 0


def test_contents_and_modes_count_times_do_not(builds: Builds) -> None:
    import os

    context = builds.context({"d/a": "1", "ignored": "x", ".dockerignore": "ignored\n"})
    text = "FROM BASE\nCOPY . /d\n"
    builds(text, context=context)
    os.utime(context / "d/a", (5, 5))
    (context / "ignored").write_text("other")
    builds(text, context=context)
    assert builds.told.cached == 1
    (context / "d/a").chmod(0o600)
    builds(text, context=context)
    assert builds.told.cached == 0
    (context / "d/a").write_text("2")
    image = builds(text, context=context)
    assert builds.told.cached == 0 and (builds.tree(image) / "d/d/a").read_text() == "2"
    (context / "d/a").rename(context / "d/b")
    builds(text, context=context)
    assert builds.told.cached == 0
    (context / "d/b").unlink()
    (context / "d/b").symlink_to("2")
    builds(text, context=context)
    assert builds.told.cached == 0


def test_copies_between_stages_count_by_content(builds: Builds) -> None:
    text = "FROM BASE AS one\nRUN echo {} > /other; echo same > /app\nFROM BASE\nCOPY --from=one /app /app\nRUN echo after\n"
    builds(text.format(1))
    builds(text.format(2))
    assert builds.told.cached == 2, "the stage was built again, but what is copied of it is the same"
    builds(text.format(2))
    assert builds.told.cached == 3


def test_the_cache_goes_with_its_image(builds: Builds) -> None:
    rows = builds.engine.store.builds
    image = builds("FROM BASE AS one\nRUN echo 1 > /stage-only\nFROM BASE\nCOPY --from=one /stage-only /f\n", tags=("gone",))
    layers = rows.layers()
    builds.engine.images.collect()
    builds("FROM BASE AS one\nRUN echo 1 > /stage-only\nFROM BASE\nCOPY --from=one /stage-only /f\n", tags=("gone",))
    assert builds.told.cached == 2, "layers of stages are kept"
    builds.engine.images.remove(image, force=True)
    assert rows.layers() < layers
    assert all(builds.engine.images.layers.has(layer) for layer in rows.layers())
    builds("FROM BASE AS one\nRUN echo 1 > /stage-only\nFROM BASE\nCOPY --from=one /stage-only /f\n")
    assert builds.told.cached == 0


def test_steps_of_failed_builds_wait_and_can_be_pruned(builds: Builds) -> None:
    with pytest.raises(BuildError):
        builds("FROM BASE\nRUN echo kept > /kept-step\nRUN false\n")
    builds.engine.images.collect()
    with pytest.raises(BuildError):
        builds("FROM BASE\nRUN echo kept > /kept-step\nRUN false\n")
    assert builds.told.cached == 1
    assert builds.engine.store.builds.forget(unowned=True) >= 1
    builds.engine.images.collect()
    with pytest.raises(BuildError):
        builds("FROM BASE\nRUN echo kept > /kept-step\nRUN false\n")
    assert builds.told.cached == 0
    assert builds.engine.images.exists(BASE)


def test_a_layer_that_is_gone_is_made_again(builds: Builds) -> None:
    import shutil

    text = "FROM BASE\nRUN echo damaged > /damaged-layer\n"
    image = builds(text)
    layer = builds.layers(image)[0]
    builds.engine.store.images.delete(image)
    shutil.rmtree(builds.engine.paths.layer(layer))
    again = builds(text)
    assert builds.told.cached == 0 and (builds.tree(again) / "damaged-layer").exists()
