// What somebody does with the operator's page in a browser, and what the page must then
// show. A story gets the page's address and what the test has prepared; where something is
// not as it should be, it throws. The JSON API says what was really done.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

const patience = 40_000; // milliseconds

// until waits for something to come true.
export async function until(what, probe) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what()}: not within ${patience} ms`);
    await pause(100);
  }
}

const api = async ({ context, base }, path) => (await context.request.get(`${base}/admin/api/v1/${path}`)).json();

const text = (page, selector) => page.locator(selector).innerText();

// says waits until a part of the page has a text.
const says = (page, selector, pattern) => {
  let last;
  return until(() => `${selector} says ${pattern}, and not ${last}`, async () => {
    last = (await page.locator(selector).allInnerTexts()).join("\n");
    return pattern.test(last);
  });
};

const state = async (browser, name) => {
  const { segments } = await api(browser, `segments?search=${name}`);
  return segments.find((each) => each.segment === name);
};

async function open(browser, path = "") {
  const { page, base } = browser;
  await page.goto(`${base}/admin/dashboard${path}`, { waitUntil: "domcontentloaded" });
  await page.locator("#verdict").waitFor();
}

const row = (page, segment) => page.locator("#segments tbody tr", { hasText: segment });

// openRow shows the details of a segment.
async function openRow(page, segment) {
  await row(page, segment).getByRole("link").first().click();
  await says(page, "#detail-title", new RegExp(segment));
}

// remedy presses the button of a remedy and confirms it.
async function remedy(page, within, name) {
  await page.locator(within).getByRole("button", { name, exact: true }).first().click();
  await page.locator("#dialog[open]").waitFor();
  await page.locator("#dialog button.do").click();
  await says(page, "#dialog-title", /^Done$/);
  await page.locator("#dialog").getByRole("button", { name: "Close" }).click();
  await page.locator("#dialog").waitFor({ state: "hidden" });
}

// serious are axe-core's findings that keep people out.
async function serious(page, axe) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate("axe.run(document)");
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
}

const looks = ["light", "dark"].flatMap((colorScheme) => [1280, 390].map((width) => ({ colorScheme, width })));

export const stories = {
  // The page in each look: whole within its width, and readable for everybody.
  async looks(browser, { axe, waits, picture, pictures }) {
    const { page } = browser;
    // How the page moves is another story; this one is about what it looks like then.
    if (waits) await until(() => `the relay is ${waits}`, async () => new RegExp(waits).test((await api(browser, "summary")).verdict));
    for (const { colorScheme, width } of looks) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      await open(browser);
      if (waits) await says(page, "#verdict", new RegExp(waits));
      assert.equal(await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"), false, `wider than ${width} px`);
      assert.deepEqual(await serious(page, axe), [], `${width} px, ${colorScheme}`);
      if (!pictures || (width === 1280) === (colorScheme === "dark")) continue;
      if (width === 1280) await until(() => "the charts have something to show", async () => picture === "empty" || (await api(browser, "series?window=15m")).points.length > 2);
      if (width === 1280) await page.reload({ waitUntil: "domcontentloaded" });
      await page.locator("#backlog canvas").waitFor();
      await page.screenshot({ path: `${pictures}/${picture}-${width === 390 ? "phone" : "desk"}.png` });
    }
  },

  // Also with the details of a segment, and with a dialog.
  async opened(browser, { axe, segment }) {
    const { page } = browser;
    for (const { colorScheme, width } of looks) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      await open(browser);
      await openRow(page, segment);
      assert.deepEqual(await serious(page, axe), [], `details, ${width} px, ${colorScheme}`);
      await page.locator("#detail").getByRole("button", { name: "pause", exact: true }).click();
      await page.locator("#dialog[open]").waitFor();
      assert.deepEqual(await serious(page, axe), [], `dialog, ${width} px, ${colorScheme}`);
      await page.getByRole("link", { name: "link" }).evaluate((link) => link.click());
      await page.waitForURL(/dashboard\/segment\?/);
      assert.deepEqual(await serious(page, axe), [], `a segment's page, ${width} px, ${colorScheme}`);
      assert.equal(await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"), false, `a segment's page is wider than ${width} px`);
    }
  },

  // Figures move by themselves, and the charts are drawn.
  async live(browser) {
    const { page } = browser;
    await open(browser);
    const shown = new Set();
    await until(() => "the tiles move", async () => shown.add(await text(page, "#tile-flow") + await text(page, "#tile-fresh") + await text(page, "#verdict")).size > 2);
    const calls = new Set();
    await openRow(page, (await page.locator("#segments tbody tr th").first().innerText()).split("/").pop());
    await until(() => "the last calls move", async () => calls.add(await text(page, "#detail")).size > 2);
    for (const chart of ["backlog", "flow"]) assert.equal(await page.locator(`#${chart} canvas`).count(), 1);
    await page.getByRole("button", { name: "6 h", exact: true }).click();
    await says(page, "#window-said", /6 hours/);
  },

  // The page lives also where one of its scripts comes late, and says so where one never comes.
  async late(browser) {
    const { page } = browser;
    await page.route("**/hx-sse.min.js*", async (route) => {
      await pause(1500);
      await route.continue();
    });
    await open(browser);
    const shown = new Set();
    await until(() => "the tiles move", async () => shown.add(await text(page, "#tile-flow") + await text(page, "#tile-fresh") + await text(page, "#verdict")).size > 2);
    assert.ok(await page.locator("#lost").isHidden(), "the stream is there");
    await page.unroute("**/hx-sse.min.js*");
    await page.route("**/hx-sse.min.js*", (route) => route.abort());
    await open(browser);
    await says(page, "#lost", /The relay does not answer since \d\d:\d\d:\d\d UTC/);
    browser.forgive(/Failed to load resource/);
  },

  // A relay that stands still, as one behind a network that is gone, ends no connection.
  async silent(browser, { pid }) {
    const { page } = browser;
    const streams = page.waitForResponse(/stream/);
    await open(browser);
    await streams;
    process.kill(pid, "SIGSTOP"); // of a process that this test has started
    await says(page, "#lost", /The relay does not answer since \d\d:\d\d:\d\d UTC/);
    process.kill(pid, "SIGCONT");
    await page.locator("#lost").waitFor({ state: "hidden", timeout: patience });
  },

  // Lists: search, sort, page, filter, a row; all of it stands in the address.
  async lists(browser, { segments }) {
    const { page } = browser;
    await open(browser);
    await says(page, "#segments-title", new RegExp(`${segments}`));
    await page.locator("#search").fill("list_007");
    await until(() => "the search leaves one row", async () => await page.locator("#segments tbody tr").count() === 1);
    await until(() => "the address has the search", async () => page.url().includes("search=list_007"));
    await page.reload({ waitUntil: "domcontentloaded" });
    assert.equal(await page.locator("#segments tbody tr").count(), 1, "after a reload");
    assert.equal(await page.locator("#search").inputValue(), "list_007");
    await page.locator("#search").fill("nothing has this name");
    await says(page, "#segments", /No segment matches/);
    await page.locator("#search").fill("");
    await until(() => "all are there again", async () => await page.locator("#segments tbody tr").count() > 1);

    const names = () => page.locator("#segments tbody tr th").allInnerTexts();
    await page.locator("#segments thead").getByRole("link", { name: "Segment" }).click();
    await page.locator("#segments th[aria-sort=ascending]").getByText("Segment").waitFor();
    assert.ok((await names())[0].endsWith("list_000"));
    await page.locator("#segments thead").getByRole("link", { name: "Segment" }).click();
    await until(() => "sorted the other way", async () => /list_0[1-9]/.test((await names())[0]));
    assert.equal(await page.locator("#segments th[aria-sort=descending]").count(), 1);

    const seen = new Set(await names());
    while (await page.locator("#segments .pager a", { hasText: "Next page" }).count() > 0) {
      const before = { names: (await names()).join(), url: page.url() };
      await page.locator("#segments .pager a", { hasText: "Next page" }).click();
      await until(() => "the next page", async () => (await names()).join() !== before.names && page.url() !== before.url);
      for (const name of await names()) seen.add(name);
    }
    assert.equal(seen.size, segments, "all pages have all segments");
    assert.match(page.url(), /cursor=/);
    await page.reload({ waitUntil: "domcontentloaded" });
    assert.ok((await names()).some((name) => name.endsWith("list_000")), "the last page after a reload");

    await page.locator("#segments .pager a", { hasText: "First page" }).click();
    await until(() => "the first page", async () => !page.url().includes("cursor="));
    await page.locator("#state").selectOption("paused");
    await says(page, "#segments", /No segment matches/);
    await page.locator("#tenant-search").fill("acme");
    await until(() => "one tenant", async () => await page.locator("#tenants tbody tr").count() === 1);
    assert.match(page.url(), /tenantSearch=acme/);
    assert.match(page.url(), /state=paused/, "the other list's filter stays");
    await page.locator("#tenants tbody th a").click();
    await says(page, "#segments-title", /Segments of /);
  },

  // Each remedy does what it says.
  async remedies(browser, { bad }) {
    const { page } = browser;
    await open(browser);
    await openRow(page, "buyers");
    await remedy(page, "#detail", "pause");
    assert.equal((await state(browser, "buyers")).state, "paused");
    await says(page, "#detail", /Paused by loopback since .* until/);
    await remedy(page, "#detail", "resume");
    assert.notEqual((await state(browser, "buyers")).state, "paused");

    const before = (await state(browser, "slow")).pending;
    assert.equal(before, 1, "keys gather for an hour");
    await openRow(page, "slow");
    await remedy(page, "#detail", "flush");
    await until(() => "what was flushed is delivered", async () => (await state(browser, "slow"))?.pending === 0);

    for (const [segment, name] of [["again", "retry"], ["never", "discard"]]) {
      assert.equal((await state(browser, segment)).parked, 1);
      await openRow(page, segment);
      await says(page, "#detail", /bad request, status 400, transaction 0{8}-/);
      assert.ok(!(await text(page, "#detail")).includes(bad), "the key is masked");
      await remedy(page, "#detail", name);
      if (name === "discard") await until(() => "the parked key is gone", async () => !(await state(browser, segment))?.parked);
    }
    await says(page, "#events", /never of tenant .*discarded, 1 key by loopback/);
    await says(page, "#events", /again of tenant .*retried, 1 key by loopback/);

    // All that match a filter.
    await page.locator("#search").fill("bu");
    await page.locator("#segments .bulk").waitFor();
    await remedy(page, "#segments .bulk", "pause");
    assert.equal((await state(browser, "buyers")).state, "paused");
    // What cannot be done is not offered.
    await openRow(page, "buyers");
    await page.locator("#detail").getByRole("button", { name: "resume", exact: true }).waitFor();
    assert.equal(await page.locator("#detail").getByRole("button", { name: "flush", exact: true }).count(), 0);
  },

  // Where a key is.
  async where(browser, { keys }) {
    const { page } = browser;
    await open(browser);
    for (const [key, answer] of Object.entries(keys)) {
      await page.locator("#key").fill(key);
      await page.locator("#key").press("Enter");
      await says(page, "#found", new RegExp(answer));
      assert.ok(!page.url().includes(key), "a key is in the address");
      assert.ok(!(await page.locator("#found").innerText()).includes(key), "a key is in the answer");
    }
  },

  // Parked keys are masked until an operator has them revealed, which is an event.
  async reveal(browser, { segment, key }) {
    const { page } = browser;
    await open(browser);
    await openRow(page, segment);
    assert.ok(!(await page.content()).includes(key), "a key is on the page");
    await page.getByRole("button", { name: /Reveal/ }).click();
    await says(page, "#dialog", new RegExp(key));
    await page.keyboard.press("Escape");
    await page.locator("#dialog").waitFor({ state: "hidden" });
    assert.ok(!(await page.content()).includes(key), "a revealed key stays in the page");
    await says(page, "#events", /Keys revealed.* by loopback|keys revealed.* by loopback/);
  },

  // A segment is found, paused and resumed without a mouse; where the focus is can be seen.
  async keyboard(browser) {
    const { page } = browser;
    await open(browser);
    const focused = () => page.evaluate(() => {
      const { activeElement: e } = document;
      const { outlineStyle, outlineWidth } = getComputedStyle(e);
      return { name: (e.textContent || e.id).trim(), tag: e.tagName, seen: outlineStyle !== "none" && outlineWidth !== "0px", within: e.closest("section, dialog, header")?.id ?? "" };
    });
    const tab = async (what, wanted) => {
      for (let i = 0; i < 120; i++) {
        await page.keyboard.press("Tab");
        const at = await focused();
        if (wanted(at)) {
          assert.ok(at.seen, `the focus on ${what} cannot be seen`);
          return;
        }
      }
      throw new Error(`${what} is not reached with Tab`);
    };
    await page.keyboard.press("Tab");
    assert.equal((await focused()).name, "To the content", "the first stop");
    await page.keyboard.press("Enter");
    await tab("the segment", (at) => at.tag === "A" && at.name.endsWith("/buyers") && at.within === "segments");
    await page.keyboard.press("Enter");
    await says(page, "#detail-title", /buyers/);
    assert.match((await focused()).name, /buyers/, "the focus is on the details");
    for (const [name, paused] of [["pause", true], ["resume", false]]) {
      await tab(name, (at) => at.tag === "BUTTON" && at.name === name && at.within === ""); // of the details, not of a tenant
      await page.keyboard.press("Enter");
      await page.locator("#dialog[open]").waitFor();
      await page.keyboard.press("Escape");
      await page.locator("#dialog").waitFor({ state: "hidden" });
      assert.equal((await focused()).name, name, "after Escape the focus is where it was");
      assert.equal((await state(browser, "buyers")).state === "paused", !paused, "Escape did something");
      await page.keyboard.press("Enter");
      await page.locator("#dialog[open]").waitFor();
      await tab("the button that does it", (at) => at.tag === "BUTTON" && at.within === "dialog" && at.name.toLowerCase().startsWith(name));
      await page.keyboard.press("Enter");
      await says(page, "#dialog-title", /^Done$/);
      await page.keyboard.press("Enter"); // the focus is on Close
      await page.locator("#dialog").waitFor({ state: "hidden" });
      assert.equal((await state(browser, "buyers")).state === "paused", paused);
    }
  },

  // While the relay does not answer, the page says since when; it goes on when that is
  // back, also where the stream had not begun.
  async lost(browser, { pid, early, seen }) {
    const { page } = browser;
    if (early) await page.route("**/stream", (route) => route.abort());
    const streams = early || page.waitForResponse(/stream/);
    await open(browser);
    await streams;
    process.kill(pid, "SIGKILL"); // of a process that this test has started
    await says(page, "#lost", /The relay does not answer since \d\d:\d\d:\d\d UTC/);
    assert.match(await text(page, "#verdict"), /\w/, "what was shown stays");
    if (early) await page.unroute("**/stream");
    await writeFile(seen, "now it may come back");
    await page.locator("#lost").waitFor({ state: "hidden", timeout: 3 * patience });
    await says(page, "#segments", /came_later/);
    browser.forgive(/Failed to load resource|Failed to fetch|network error/); // says the browser, too
  },

  // A viewer logs in, sees everything, and may do nothing.
  async viewer(browser, { name, password }) {
    const { page, context, base } = browser;
    await page.goto(`${base}/`);
    await page.getByLabel("Name").fill(name);
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
    await page.locator("#verdict").waitFor();
    assert.match(await text(page, ".who"), new RegExp(`${name}, viewer`));
    assert.equal(await page.getByRole("button", { name: "pause", exact: true }).count(), 0);
    await openRow(page, "buyers");
    assert.equal(await page.getByRole("button", { name: "pause", exact: true }).count(), 0);
    const token = await page.locator("input[name=formToken]").inputValue();
    for (const headers of [{}, { "X-Form-Token": token }]) {
      const answer = await context.request.post(`${base}/admin/dashboard/remedies/pause`, { headers, form: { tenant: "acme-prod", for: "1h" } });
      assert.equal(answer.status(), 403, await answer.text());
    }
    assert.notEqual((await state(browser, "buyers")).state, "paused");
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Password").waitFor();
    assert.equal((await context.request.get(`${base}/admin/api/v1/summary`)).status(), 401);
    browser.forgive(/Failed to load resource/);
  },
};
