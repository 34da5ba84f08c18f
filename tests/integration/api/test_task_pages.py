"""The console's pages of human tasks without a browser: what they show, and what they do."""

from __future__ import annotations

from routing.tokens import Scope
from tests.builders import a_task
from tests.integration.api.caller import Api
from tests.integration.api.test_run_pages import send, visitor
from tests.rows import one_row

PAGE = "/console/task?id=t&of=acme"


async def test_a_task_is_listed_answered_wrongly_and_then_completed(
    api: Api, database_url: str
) -> None:
    await api.register(a_task(wait_id="t", title="Say <b>how much</b>", workflow_id="order-7"))
    client = await visitor(api, Scope.OPERATE)

    listed = (await client.get("/console/tasks")).text
    target = {"id": "t", "of": "acme"}
    wrong = await send(
        client, PAGE, "/console/task/complete", **target, **{"answer.amount": "no <i>number</i>"}
    )
    right = await send(client, PAGE, "/console/task/complete", **target, **{"answer.amount": "7"})
    shown = (await client.get(PAGE)).text

    assert "Say &lt;b&gt;how much&lt;/b&gt;" in listed
    assert wrong.status_code == 422
    assert "answer.amount" in wrong.text
    assert "no &lt;i&gt;number&lt;/i&gt;" in wrong.text
    assert right.status_code == 303
    assert "by token:tester" in shown
    assert "Complete the task" not in shown
    payload = one_row(database_url, "SELECT payload FROM workflow_runtime_events")[0]
    assert '"answer": {"amount": 7}' in str(payload)


async def test_a_task_is_claimed_commented_and_reassigned(api: Api) -> None:
    await api.register(a_task(wait_id="t", form=None))
    client = await visitor(api, Scope.OPERATE)
    target = {"id": "t", "of": "acme"}

    acts = [
        await send(client, PAGE, "/console/task/claim", **target),
        await send(client, PAGE, "/console/task/comment", **target, text="look here"),
        await send(
            client,
            PAGE,
            "/console/task/reassign",
            **target,
            assignees="bob, jwt:eve",
            reason="theirs",
        ),
    ]
    shown = (await client.get(PAGE)).text

    assert [act.status_code for act in acts] == [303, 303, 303]
    for text in ("look here", "reassign to bob, jwt:eve", "is for bob, jwt:eve, not for"):
        assert text in shown
    assert (await client.get("/console/tasks")).text.count("No tasks here") == 1
