// Values of GitHub's expressions, by GitHub's own parser: one request a line, one response a line.
import { createInterface } from "node:readline";
import { data, Evaluator, Lexer, Parser } from "@actions/expressions";

const STATUS = ["success", "failure", "always", "cancelled"];

function describe(name, value) {
  return { name, minArgs: 0, maxArgs: 255, call: () => value };
}

function evaluate({ expression, contexts, status }) {
  const functions = STATUS.map((name) => describe(name, new data.BooleanData(status[name])));
  functions.push(describe("hashFiles", new data.StringData("")));
  const known = Object.keys(contexts);
  const { tokens } = new Lexer(expression).lex();
  const parsed = new Parser(tokens, known, functions).parse();
  const values = JSON.parse(JSON.stringify(contexts), data.reviver);
  const called = new Map(functions.map((each) => [each.name.toLowerCase(), each]));
  return JSON.parse(JSON.stringify(new Evaluator(parsed, values, called).evaluate(), data.replacer));
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = { value: evaluate(JSON.parse(line)) ?? null };
  } catch (error) {
    answer = { error: error.message };
  }
  console.log(JSON.stringify(answer));
}
