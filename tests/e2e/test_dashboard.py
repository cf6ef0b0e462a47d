"""The dashboard in a real browser: signing in, what is drawn and told against what the API answers, signing out.

The tests share one page, and each goes on where the one before has left it.
"""

import contextlib
import datetime
import types

from anyhook import KEY, SECRET, anyhook, simulator
from browser import browser
from lib import check, equal, http, temporary_directory, wait_until
from receiver import receiver

# What a page would run that took a name for markup.
NAME = "<img src=x onerror=alert(1)> & Sons"
# A zone that is not a whole number of hours from UTC, so that nothing passes for it by chance.
ZONE = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
# So few rows a page that every list has more than one.
PAGED = {"ANYHOOK_API_LIST_LIMIT_MAX": "2"}
KINDS = ["created", "updated", "deleted"]
COUNTS = ["changes", "deliveries", "records", "failures", "requests", "runs", "failed_runs"]

BARS = """return [...document.querySelectorAll(`#chart-${arguments[0]} .bar`)].map((bar) => ({
  series: bar.dataset.series, value: Number(bar.dataset.value), from: bar.dataset.from,
  top: Number(bar.getAttribute("y")), height: Number(bar.getAttribute("height"))}))"""
AXIS = """const axis = document.querySelector(`#chart-${arguments[0]} .axis`);
return [...axis.querySelectorAll("line")].map((line, index) =>
  ({y: Number(line.getAttribute("y1")), value: Number(axis.querySelectorAll("text")[index].textContent)}))"""
ROWS = """return [...document.querySelectorAll("#table tbody tr, #table tfoot tr")].map((row) => ({
  from: row.querySelector("time")?.dateTime, title: row.querySelector("time")?.title, text: row.cells[0].innerText,
  cells: Object.fromEntries([...row.cells].slice(1).map((cell) => [cell.dataset.name, cell.innerText]))}))"""
TILES = """return Object.fromEntries([...document.querySelectorAll(".tile")].map((tile) =>
  [tile.dataset.name, tile.querySelector(".value").innerText]))"""
STORED = "return [Object.values(sessionStorage), Object.values(localStorage), document.cookie, location.href]"
# Answers insights as a server does that tells changes apart, but for one of them.
SPLIT = """const send = window.fetch;
window.fetch = async (url, options) => {
  const answer = await send(url, options);
  if (!String(url).includes("/insight?")) return answer;
  const parts = ({changes}) => ({created: 2, deleted: 1, updated: changes - 4});
  const rows = (await answer.json()).map((row) => row.changes > 4 ? {...row, ...parts(row)} : row);
  return new Response(JSON.stringify(rows), {headers: answer.headers});
};"""
LATER = "const now = Date.now; Date.now = () => now() + 31_000"


@contextlib.contextmanager
def world():
    with temporary_directory() as directory, simulator("--records", "20") as vendor:
        with receiver(SECRET) as subscriber, anyhook(directory, **PAGED) as server, browser() as page:
            connection = busy(server, vendor, subscriber)
            page.zone("Asia/Kolkata")
            page.open(f"{server.url}/")
            yield types.SimpleNamespace(server=server, vendor=vendor, page=page, connection=connection)


def busy(server, vendor, subscriber):
    """A connection with deliveries, one of them after a failure; it rests again when this returns. Answers its id."""
    connection = server.connect("sandbox", ["crm"], api_url=vendor.url, token="sandbox", name=NAME)
    refusals = iter([503])
    subscriber.rule = lambda delivery: next(refusals, 200)
    hook = server.subscribe(connection, "crm_contact", subscriber.hook("drawn"), include_all=True)
    subscriber.wait_for_initial("drawn")
    records = sorted(vendor.state("contacts"))[:8]
    for record in records:
        vendor.change("contacts", record, title="Drawn")
    subscriber.wait_for("drawn", records, "the changes")
    server.call("PATCH", f"/unified/webhook/{hook['id']}", {"is_paused": True})
    deal = server.subscribe(connection, "crm_deal", subscriber.hook("deals"))
    server.wait_for_polls(deal["id"])
    server.call("PATCH", f"/unified/webhook/{deal['id']}", {"is_paused": True})
    for other in range(4):
        server.connect("sandbox", ["crm"], api_url=vendor.url, token="sandbox", name=f"Idle {other}")
    return connection


def insights(world, resolution="hour", object_type="crm_contact"):
    query = f"connection_id={world.connection}&resolution={resolution}&object_type={object_type}"
    return world.server.call("GET", f"/unified/insight?{query}")


def at_rest(world):
    """The contacts' insights once nothing is added to them any more."""
    seen = [None]

    def same():
        seen.append(insights(world))
        return seen[-1] == seen[-2] and seen[-1]

    return wait_until(same, "insights that stay as they are")


def instant(text):
    return datetime.datetime.fromisoformat(text)


def number(text):
    return int(text.replace(",", ""))


def sign_in(world, key):
    world.page.wait_for("#key")
    world.page.type("#key", key)
    world.page.type("#key", "Enter")


def refresh(world):
    before = world.page.run("return document.querySelector('#updated').title")
    world.page.click("#refresh")
    wait_until(lambda: world.page.run("return document.querySelector('#updated').title") != before, "a refresh")


def test_a_wrong_key_is_told_and_the_right_one_is_kept_in_the_tab_alone(world):
    equal(world.page.address(), f"{world.server.url}/dashboard", "where the root leads a browser")
    for wrong in ("wrong-key-0123456789", "wröng"):
        sign_in(world, wrong)
        told = wait_until(lambda: world.page.text("#sign-in-problem"), "a problem that is told")
        check("not known" in told, told)
        equal(world.page.run(STORED)[:3], [[], [], ""], "stored after a wrong key")
    sign_in(world, KEY)
    world.page.wait_for("#charts .bar")
    equal(world.page.run(STORED)[:3], [[KEY], [], ""], "stored")
    check(KEY not in world.page.address(), world.page.address())
    names = world.page.run("return [...document.querySelectorAll('#connection option')].map((option) => option.text)")
    equal(names, [f"Sandbox · {name}" for name in (NAME, "Idle 0", "Idle 1", "Idle 2", "Idle 3")], "connections")
    world.page.reload()
    world.page.wait_for("#charts .bar")


def test_bars_and_table_show_what_the_api_answers(world):
    wait_until(lambda: "crm_deal" in world.page.text("#object-type"), "both object types")
    world.page.choose("#object-type", "crm_contact")
    rows = at_rest(world)
    check(sum(row["deliveries"] for row in rows) >= 2 and sum(row["failures"] for row in rows) == 1, rows)
    refresh(world)
    kinds = KINDS if any("created" in row for row in rows) else ["changes"]
    charts = {"changes": kinds, **{name: [name] for name in ("deliveries", "failures", "requests")}}
    for chart, series in charts.items():
        wanted = {(name, instant(row["from"])): row[name] for row in rows for name in series if row.get(name)}
        bars = world.page.run(BARS, chart)
        equal({(bar["series"], instant(bar["from"])): bar["value"] for bar in bars}, wanted, f"bars of {chart}")
        check_heights(world, chart, bars)
    marks = {(bar["series"], instant(bar["from"])): bar["value"] for bar in world.page.run(BARS, "lag")}
    lags = [(instant(row["from"]), row["lag"]) for row in rows if "lag" in row]
    equal(marks, {(name, at): lag[f"{name}_ms"] for at, lag in lags for name in ("p50", "p99")}, "marks of lag")

    *shown, total = world.page.run(ROWS)
    equal([instant(row["from"]) for row in shown], [instant(row["from"]) for row in rows], "the table's hours")
    for row, wanted in zip(shown, rows):
        equal({name: number(row["cells"][name]) for name in COUNTS}, {name: wanted[name] for name in COUNTS}, "a row")
        begin = instant(wanted["from"])
        check(begin.astimezone(ZONE).strftime("%H:%M") in row["text"], row)
        check(begin.strftime("%Y-%m-%d %H:%M") in row["title"] and row["title"].endswith("UTC"), row)
    sums = {name: sum(row[name] for row in rows) for name in COUNTS}
    equal({name: number(total["cells"][name]) for name in COUNTS}, sums, "the table's totals")
    tiles = world.page.run(TILES)
    for name in ("changes", "deliveries", "failures", "requests"):
        equal(number(tiles[name]), sums[name], f"the total of {name}")


def check_heights(world, chart, bars):
    """Bars are as high as the axis beside them says."""
    axis = world.page.run(AXIS, chart)
    zero, top = axis[0], axis[-1]
    per_unit = (zero["y"] - top["y"]) / (top["value"] - zero["value"])
    for bar in bars:
        check(abs(bar["height"] - bar["value"] * per_unit) < 0.01, f"{chart}: {bar} by {axis}")


def test_changes_that_are_told_apart_are_stacked(world):
    world.page.run(SPLIT)
    refresh(world)
    changes = {instant(row["from"]): row["changes"] for row in insights(world) if row["changes"] > 4}
    check(changes, "no hour has changes enough")
    for begin, count in changes.items():
        bars = [bar for bar in world.page.run(BARS, "changes") if instant(bar["from"]) == begin]
        found = [(bar["series"], bar["value"]) for bar in bars]
        equal(found, [("created", 2), ("updated", count - 4), ("deleted", 1), ("untold", 1)], "a stack")
        for below, above in zip(bars, bars[1:]):
            check(abs(above["top"] + above["height"] - below["top"]) < 0.01, f"{above} does not stand on {below}")
    *_, total = world.page.run(ROWS)
    equal(number(total["cells"]["created"]), 2 * len(changes), "created in all")
    world.page.reload()
    world.page.wait_for("#charts .bar")


def test_days_object_types_and_the_address(world):
    deals = insights(world, "day", "crm_deal")
    world.page.click("input[value=day]")
    wait_until(lambda: "crm_deal" in world.page.text("#object-type"), "both object types")
    world.page.choose("#object-type", "crm_deal")
    calls = {instant(row["from"]): row["requests"] for row in deals}
    drawn = lambda: {instant(bar["from"]): bar["value"] for bar in world.page.run(BARS, "requests")}  # noqa: E731
    wait_until(lambda: drawn() == calls, "the deals' days", state=lambda: (drawn(), calls))
    world.page.reload()
    wait_until(lambda: drawn() == calls, "the same after a reload", state=lambda: (drawn(), calls))
    check("type=crm_deal" in world.page.address() and "by=day" in world.page.address(), world.page.address())
    idle = world.page.run("return document.querySelector('#connection').options[3].value")
    world.page.choose("#connection", idle)
    world.page.wait_for("#empty")
    check(not world.page.shows("#figures"), "another connection's figures are shown")
    world.page.choose("#connection", world.connection)
    world.page.click("input[value=hour]")
    wait_until(lambda: "crm_contact" in world.page.text("#object-type"), "the object types")
    world.page.choose("#object-type", "crm_contact")
    world.page.wait_for("#chart-changes .bar")


def test_arrow_keys_tell_each_span(world):
    newest = at_rest(world)[0]
    end = instant(newest["from"]).astimezone(ZONE).strftime("%H:%M")
    plot = "#chart-changes .plot"
    told = f"document.querySelector('{plot}').getAttribute('aria-valuetext')"
    check(world.page.run(f"return {told}").startswith("In all"), world.page.run(f"return {told}"))
    world.page.type(plot, "End")
    # The hour may have turned since, and then the newest is the one before.
    if end not in world.page.run(f"return {told}"):
        world.page.type(plot, "Left")
    text = world.page.run(f"return {told}")
    check(end in text and f"{newest['changes']} changes" in text, f"{text} of {newest}")
    equal(world.page.text("#chart-changes .readout"), text, "what is seen of it")


def test_it_is_loaded_again_by_itself_and_says_when_that_fails(world):
    stamp = "return document.querySelector('#updated').title"
    before = world.page.run(stamp)
    world.page.run(LATER)
    wait_until(lambda: world.page.run(stamp) != before, "figures that load by themselves")
    world.page.devtools("Network.enable")
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    world.page.devtools("Network.emulateNetworkConditions", offline=True, **conditions)
    world.page.click("#refresh")
    world.page.wait_for("#problem")
    check("cannot be reached" in world.page.text("#problem"), world.page.text("#problem"))
    check(world.page.shows("#charts .bar"), "the figures that were there are gone")
    world.page.devtools("Network.emulateNetworkConditions", offline=False, **conditions)
    refresh(world)
    check(not world.page.shows("#problem"), "the problem is still told")


def test_it_fits_phones_and_desks_and_follows_the_colours(world):
    pages = set()
    for colours in ("light", "dark"):
        world.page.colours(colours)
        pages.add(world.page.run("return getComputedStyle(document.body).backgroundColor"))
        for width in (400, 1400):
            world.page.width(width)
            fits = "const {scrollWidth} = document.documentElement; return [scrollWidth, innerWidth]"
            wait_until(
                lambda: world.page.run(fits) == [width, width], f"fitting {width}", 10, lambda: world.page.run(fits)
            )
    equal(len(pages), 2, "grounds")


def test_signing_out_forgets_the_key(world):
    world.page.click("#sign-out")
    world.page.wait_for("#key")
    equal(world.page.run(STORED)[:3], [[], [], ""], "stored after signing out")
    world.page.reload()
    world.page.wait_for("#key")
    check(not world.page.shows("#dashboard"), "the dashboard is shown without a key")
    # The refused key and what was loaded offline are told by the browser; a refused script or style would be too.
    odd = [text for text in world.page.complaints() if " 401 " not in text and "ERR_INTERNET_DISCONNECTED" not in text]
    equal(odd, [], "complaints of the browser")
    check(KEY not in "\n".join(world.server.process.lines), "the key is in the server's log")


def test_it_can_be_switched_off(_):
    with temporary_directory() as directory, anyhook(directory, ANYHOOK_DASHBOARD="false") as server:
        equal(http("GET", f"{server.url}/dashboard").status, 404, "status of the page")
        root = http("GET", f"{server.url}/", headers={"accept": "text/html"})
        check(root.status == 200 and root.body.startswith(b"Anyhook"), f"{root.status} {root.body!r}")
