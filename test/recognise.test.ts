// What stands before the names of a checkpoint: wrappers and holders in any order and number, other prefixes where
// nothing rivals them, and refusals by name where something does.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { alternatives, type Naming, nameOf, namings } from "../model/checkpoint/names.ts";
import { bareName, recognise, requireNaming as requireNamingOf } from "../model/checkpoint/recognise.ts";
import { CheckpointError } from "../model/safetensors.ts";
import { Draws } from "./checkpoint-files.ts";

/** The naming of tensors with these names, in a file with these keys. */
function requireNaming(names: readonly string[], keys: readonly string[] = []) {
  const entry = { dtype: "F32", shape: [1], read: async () => new Float32Array(1) };
  return requireNamingOf({ tensors: new Map(names.map((name) => [name, entry])), keys });
}

/** All names of a naming with two layers. */
function namesOf({ rows }: Naming): string[] {
  const patterns = [...rows.values()].flat().map((theirs) => alternatives(theirs)[0]);
  return patterns.flatMap((pattern) =>
    (pattern.includes("#") ? ["0", "1"] : [""]).flatMap((layer) =>
      (pattern.includes("*") ? ["weight", "bias"] : [""]).map((leaf) => nameOf(pattern, { layer, leaf })),
    ),
  );
}

const holders = ["module.", "_orig_mod.", "model.", "student.", "backbone."];
const draw = (draws: Draws, items: readonly string[], most: number) =>
  Array.from({ length: draws.below(most + 1) }, () => draws.pick(items)).join("");

test("300 runs of prefixes: every name is the naming's own again", () => {
  for (let round = 0; round < 300; round++) {
    const draws = new Draws(31, round);
    const naming = namings[round % namings.length];
    const own = draws.pick(naming.prefixes);
    const prefix = `${draw(draws, holders, 5)}${own}`;
    const names = namesOf(naming);
    const theirs = names.map((name) => `${prefix}${name}`);
    const known = recognise([...theirs, "epoch", "optimizer.state.0", "head.weight"])!;
    assert.is(known.naming.title, naming.title, prefix);
    assert.equal(known.rivals, []);
    assert.equal(
      theirs.map((name) => bareName(name, known.prefix)),
      names,
      prefix,
    );
    assert.is(bareName("elsewhere.norm.weight", `${prefix}model.`), null);
  }
});

test("a part that was wrapped by itself has its own names", () => {
  for (const wrapper of ["module.", "_orig_mod.", "_fsdp_wrapped_module.", "_orig_mod.module."]) {
    const names = namesOf(namings[1]);
    const theirs = names.map((name) => name.replace(/^visual_encoder\./, `visual_encoder.${wrapper}`));
    const known = requireNaming(theirs);
    assert.is(known.naming, namings[1]);
    assert.equal(
      theirs.map((name) => bareName(name, known.prefix)),
      names,
    );
  }
});

test("a prefix that is no holder counts where nothing rivals it", () => {
  for (const naming of namings) {
    const names = namesOf(naming);
    for (const prefix of [
      "teacher.",
      "encoder.",
      "net.",
      "blip_model.",
      "teacher.backbone.",
      "0.auto_model.",
    ]) {
      const theirs = names.map((name) => prefix + name);
      const known = requireNaming([...theirs, "combiner.norm.weight", "norm.weight"]);
      assert.is(known.naming, naming, prefix);
      assert.equal(
        theirs.map((name) => bareName(name, known.prefix)),
        names,
      );
      // The student is a holder, so it is meant.
      const both = requireNaming([...theirs, ...names.map((name) => `student.${name}`)]);
      assert.match(both.prefix, /^student\./);
      // Of two others none is.
      assert.throws(
        () => requireNaming([...theirs, ...names.map((name) => `second.${name}`)]),
        (error: Error) => error instanceof CheckpointError && error.message.includes('"second."'),
      );
    }
  }
});

test("what is known by no naming is told by what there is", () => {
  const refused = (names: string[], keys: string[], pattern: RegExp) =>
    assert.throws(
      () => requireNaming(names, keys),
      (error: Error) => error instanceof CheckpointError && pattern.test(error.message),
    );
  refused(["a", "b"], [], /it holds "a", "b"$/);
  refused([], ["epoch", "net"], /no tensors, but "epoch", "net"$/);
  refused([], [], /it holds nothing$/);
  refused(
    Array.from({ length: 3000 }, (_, i) => `w${i}`),
    [],
    /"w7" and 2992 more$/,
  );
  const bert = namings.find(({ title }) => title === "BERT")!;
  refused(
    namesOf(bert).map((name) => `roberta.${name}`),
    [],
    /"roberta\.": a RoBERTa/,
  );
});

test.run();
