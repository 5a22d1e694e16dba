"""What changes a table comes to the same as the table written anew, in a real kernel; and what strangers do to it is seen."""

from __future__ import annotations

import random
import re
import shutil
import subprocess

import pytest

from kubeplay.engine.net import nft, table
from kubeplay.engine.net.ports import Published
from kubeplay.plan.service import Endpoint, ServicePlan, ServicePort, ServiceRoute

pytestmark = pytest.mark.root
NFT = shutil.which("nft") or "/usr/sbin/nft"


def state(draw: random.Random) -> nft.NetState:
    """Any state: Services of every sort with any endpoints, published ports, sometimes IPv6."""
    six = draw.random() < 0.5
    routes = []
    for number in draw.sample(range(1, 9), draw.randint(0, 6)):
        count, base = draw.randint(1, 3), 30000 + number * 8
        ports = tuple([ServicePort(80 + p, 8080, draw.choice(["TCP", "UDP"]), f"p{p}", base + p) for p in range(count)])
        ends = tuple([tuple([Endpoint(f"10.244.0.{n}", 8080) for n in draw.sample(range(2, 9), draw.randint(0, 4))]
                            + ([Endpoint("fd00::5", 8080)] if six else [])) for _ in ports])  # fmt: skip
        addresses = (f"10.96.1.{number}", *((f"fd96::{number}",) if six else ()))
        plan = ServicePlan(
            "default", f"s{number}", draw.choice(["NodePort", "LoadBalancer"]), ports, cluster_ip=addresses[0], cluster_ips=addresses,
            affinity_seconds=draw.choice([0, 0, 60]), external_ips=("192.0.2.7",) if number == 1 else (), ingress="192.0.2.1",
            source_ranges=("10.0.0.0/8", "fd00::/8") if number % 2 else (),
        )  # fmt: skip
        routes.append(ServiceRoute(plan, ends))
    published = tuple([Published("*", "TCP", 20000 + n, f"10.244.0.{n}", 80) for n in range(2, 2 + draw.randint(0, 3))])
    more = {"gateway6": "fd00::1", "services6": "fd96::/112", "dns6": "fd96::a"} if six else {}
    subnets = ("10.244.0.0/24", *(("fd00::/64",) if six else ()), *(("10.244.1.0/24",) if draw.random() < 0.3 else ()))
    return nft.NetState("t", 7, "10.244.0.1", subnets, "10.96.0.0/16", "10.96.0.10", published, tuple(routes), **more)


def kernel(*texts: str) -> list[str]:
    """The blocks the kernel has after these transactions, in no order. A refused transaction fails."""
    script = "".join(f"{NFT} -f - <<'END' || exit 1\n{text}END\n" for text in texts)
    said = subprocess.run(["unshare", "-n", "sh", "-c", f"{script}{NFT} list ruleset"], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr + texts[-1]
    blocks = re.split(r"\n\t(?=(?:set|map|chain) )", said.stdout)
    return sorted(" ".join(sorted(re.split(r"[\s,]+", block))) if "elements" in block else block.strip("\n}\t ") for block in blocks)


@pytest.mark.parametrize("seed", range(12))
def test_a_changed_table_is_the_table_made_anew(seed: int) -> None:
    draw = random.Random(seed)
    tables = [nft.rules(state(draw)) for _ in range(4)]
    texts = [table.whole("t", tables[0])]
    for old, new in zip(tables, tables[1:]):
        some = table.changes("t", old, new)
        assert some is not None
        texts.append(some)
    assert kernel(*texts) == kernel(table.whole("t", tables[-1]))


def test_equal_tables_need_nothing_and_none_is_needed_for_the_last() -> None:
    one = nft.rules(state(random.Random(1)))
    assert table.changes("t", one, one) == ""
    assert table.changes("t", table.NOTHING, one) is None
    assert table.loads(table.dumps(one)) == one and table.loads("{") is None
