// The process that cli/driver.ts starts: checks the driver on the cases that are named and sends a verdict after each.
import { checkDriver, driverCases } from "../cases/driver.ts";
import { Engine } from "../engine/index.ts";

const [batch, ...names] = process.argv.slice(2);
const cases = names.map((name) => driverCases.find((opCase) => opCase.name === name)!);
const open = () => Engine.create({ poison: true });
for await (const verdict of checkDriver(open, { cases, batch: Number(batch) })) {
  await new Promise((sent) => process.send!(verdict, sent));
}
// Dawn's threads would keep the process.
process.exit(0);
