// The process that cli/driver.ts starts: says that it is there, checks the driver on the cases that are named and
// sends a verdict after each.
import { checkDriver, driverCases, type Verdict } from "../cases/driver.ts";
import { Engine } from "../engine/index.ts";

const [batch, ...names] = process.argv.slice(2);
const cases = names.map((name) => driverCases.find((opCase) => opCase.name === name)!);
const send = (message: Verdict | "here") => new Promise((sent) => process.send!(message, sent));
const open = () => Engine.create({ poison: true });
await send("here");
for await (const verdict of checkDriver(open, { cases, batch: Number(batch) })) {
  await send(verdict);
}
// Dawn's threads would keep the process.
process.exit(0);
