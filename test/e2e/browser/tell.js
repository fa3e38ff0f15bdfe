// Tells one story of stories.js in a headless Chromium, as standard input says: {story,
// base, chromium, ...}. Whatever the browser complains of is a failure, too. It prints
// nothing; what is wrong goes to standard error, and the exit code is 1.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { stories } from "./stories.js";

let input = "";
for await (const chunk of process.stdin) input += chunk;
const { story, base, chromium: executablePath, ...given } = JSON.parse(input);
given.axe = await readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

// Chromium itself now and then crashes while it starts, on a busy machine.
const launch = async (tries) => {
  try {
    return await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  } catch (failure) {
    if (tries === 1) throw failure;
    return launch(tries - 1);
  }
};
const launched = await launch(3);
try {
  const context = await launched.newContext({ ignoreHTTPSErrors: true, timezoneId: "Asia/Tokyo", reducedMotion: "reduce" });
  const page = await context.newPage();
  let complaints = [];
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) complaints.push(`console: ${message.text()} (${message.location().url})`); });
  page.on("pageerror", (error) => complaints.push(`error: ${error.stack}`));
  page.on("request", (request) => { if (!request.url().startsWith(base) && !request.url().startsWith("data:")) complaints.push(`asked elsewhere: ${request.url()}`); });
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation",
    (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`)));
  await stories[story]({ page, context, base, forgive: (known) => { complaints = complaints.filter((complaint) => !known.test(complaint)); } }, given);
  if (complaints.length > 0) throw new Error(complaints.join("\n"));
} catch (failure) {
  console.error(failure.stack);
  process.exitCode = 1;
} finally {
  await launched.close();
}
