import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { parseData } from '../../../src/io/jinja/data.ts'
import { TemplateError } from '../../../src/io/jinja/error.ts'
import { compileTemplate, render, type Rendering } from '../../../src/io/jinja/template.ts'

interface Case {
  readonly template: string
  readonly text?: string
  readonly error?: string
  readonly generated?: readonly (readonly number[])[]
}
interface Golden {
  readonly variables: Readonly<Record<string, unknown>>
  readonly messages: readonly unknown[]
  readonly cases: readonly Case[]
}

// Read as a row of a data set is: 3.0 stays a float, and 2**70 an int.
const golden = parseData(await readFile(new URL('../../golden/chat/jinja.json', import.meta.url), 'utf8')) as Golden
const given = {
  ...golden.variables,
  messages: golden.messages,
  tools: null,
  documents: null,
  add_generation_prompt: false,
}

const outcome = (template: string): Rendering | TemplateError => {
  try {
    return render(compileTemplate(template), given)
  } catch (error) {
    if (error instanceof TemplateError) return error
    throw error
  }
}

/** Offsets in UTF-16 units, of those that Python counts. */
const units = (text: string, pairs: Case['generated'] = []): readonly (readonly number[])[] =>
  pairs.map(pair => pair.map(at => Array.from(text).slice(0, at).join('').length))

/** The refusals of templates that Jinja renders: nothing else may be refused. */
const refused: readonly RegExp[] = [
  /^the (?:filter|statement|attribute) .* is not supported$/,
  /^the filter "int" with base 16 is not supported$/,
  /^rounding before the point is not supported$/,
]

test('small templates render as transformers renders them, or are refused by name', () => {
  const wrong: unknown[] = []
  let equal = 0
  let unsupported = 0
  for (const { template, text, error, generated } of golden.cases) {
    const own = outcome(template)
    if (own instanceof TemplateError) {
      if (error === undefined && refused.some(sentence => sentence.test(own.message))) unsupported++
      else if (error === undefined) wrong.push([template, text, own.message])
      else equal++
    } else if (own.text !== text) wrong.push([template, text ?? error, own.text])
    // only the outer of nested marks count: transformers scores their union
    else if (
      !template.includes('b{% endgeneration %}c') &&
      JSON.stringify(own.generated) !== JSON.stringify(units(text, generated))
    ) {
      wrong.push([template, generated, own.generated])
    } else equal++
  }
  assert.deepEqual(wrong, [])
  assert.ok(equal > 640 && unsupported < 15, `${equal} are equal, ${unsupported} refused`)
})

test('each of many golden values refutes a mutant: a template that renders as another one does', () => {
  const texts = golden.cases.flatMap(({ text }) => text ?? [])
  assert.ok(new Set(texts).size > 250)
})
