"""The example in Java: built once, kept for later runs, run as a process."""

from __future__ import annotations

import shutil
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from temporalio.client import Client

from tests.sdk_examples import example_worker, kept_build, succeed
from tests.strictness import give_up

TASK_QUEUE = "pointsman-examples-java"
# A first build fetches Temporal's SDK and Maven's plugin: some hundreds of small files.
BUILD_TIMEOUT_SECONDS = 1200
# For a program that does little and not for long.
SMALL_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-Xshare:auto")


async def build_java_example() -> Path:
    """The folder of the built example; a new one for each state of its sources."""
    if not shutil.which("mvn") or not shutil.which("javac"):
        give_up(
            "mvn and javac are not on PATH; install maven and default-jdk-headless (17 or newer)"
            " to run the example in Java"
        )
    return await kept_build("java", ("pom.xml", "src"), _build)


async def _build(folder: Path) -> None:
    # With its full name, and without `compile`: each would fetch more of Maven's plugins.
    goal = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"
    await succeed(folder, "mvn", "--quiet", "--batch-mode", goal)
    sources = map(str, (folder / "src").rglob("*.java"))
    await succeed(
        folder,
        *("javac", "--release", "17", "-Xlint:all", "-Werror"),
        *("-cp", "target/dependency/*", "-d", "target/classes"),
        *sources,
    )


def java_worker(folder: Path, client: Client) -> AbstractAsyncContextManager[None]:
    """The worker of the example, on the client's server and namespace."""
    return example_worker(
        client,
        *("java", *SMALL_JVM, "-cp", "target/classes:target/dependency/*"),
        "pointsman.example.ExampleWorker",
        folder=folder,
    )
