import { test } from 'node:test'
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { Float, parseData } from '../../../src/io/jinja/data.ts'
import { TemplateError } from '../../../src/io/jinja/error.ts'
import { compileTemplate, render } from '../../../src/io/jinja/template.ts'

const rendered = (
  template: string,
  variables: Readonly<Record<string, unknown>> = {},
  now = new Date(2024, 6, 6, 15, 4, 5, 678),
): string => render(compileTemplate(template), variables, { now: () => now }).text

const endless: readonly (readonly [string, string, RegExp])[] = [
  [
    'loops in loops',
    '{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}',
    /does not end within/,
  ],
  [
    'a loop that writes',
    '{% for a in range(99999) %}{% for b in range(99999) %}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{% endfor %}{% endfor %}',
    /./,
  ],
  ['a macro that calls itself', '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}', /calls itself more than 100 deep/],
  [
    'macros that call each other',
    '{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}',
    /calls itself/,
  ],
  [
    'a macro that calls itself twice',
    '{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(90) }}',
    /does not end within/,
  ],
  ['a loop that calls itself', '{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}', /calls itself/],
  ['a repeated text', "{{ 'a' * 1000000000 }}", /more than 8388608 characters/],
  ['a repeated list', '{{ ([1] * 1000000000)|length }}', /does not end within/],
  [
    'a text that doubles',
    "{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
    /more than 8388608 characters/,
  ],
  ['a text that is replaced', "{{ ('a' * 100000).replace('a', 'a' * 100000) }}", /more than 8388608 characters/],
  ['a joined text', "{{ ('a' * 100000)|join('b' * 100000) }}", /more than 8388608 characters/],
  ['a padded text', "{{ 'a'.center(1000000000) }}", /more than 8388608 characters/],
  ['a formatted text', "{{ '%1000000000d' % 1 }}{{ '{:1000000000}'.format(1) }}", /more than 8388608 characters/],
  ['an indented text', "{{ 'a\\nb'|indent(1000000000) }}", /more than 8388608 characters/],
  ['indented JSON', '{{ [[[1]]]|tojson(indent=1000000000) }}', /more than 8388608 characters/],
  [
    'a list that holds itself many times, printed',
    '{% set n = namespace(x=[1]) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}',
    /does not end within/,
  ],
  [
    'a list that holds itself many times, compared',
    '{% set n = namespace(x=[1], y=[1]) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}' +
      '{% endfor %}{{ n.x == n.y }}',
    /does not end within/,
  ],
  ...[
    '{{ [n.x]|join }}',
    "{{ '%s' % [n.x] }}",
    "{{ '{}'.format(n.x) }}",
    '{{ n.x in [n.x] }}',
    '{{ n.x|tojson }}',
    '{{ 1 ~ n.x }}',
    '{{ n.x is eq(n.x) }}',
    '{{ [n.x].index(n.x) }}',
    '{{ raise_exception(n.x) }}',
    '{{ [n.x, n.x]|unique|list }}',
  ].map(
    use =>
      [
        `a list that holds itself many times, in ${use}`,
        `{% set n = namespace(x=[1]) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}{% endfor %}${use}`,
        /does not end within/,
      ] as const,
  ),
  [
    'a long list, sought in a loop',
    '{% set r = range(99999)|list %}{% for i in range(99999) %}{{ -1 in r }}{% endfor %}',
    /does not end within/,
  ],
  ...[
    "{{ t.find('b') }}",
    "{{ 'b' in t }}",
    '{{ t[-1] }}',
    '{{ t|length }}',
    '{{ t == t }}',
    "{{ t.startswith('b') }}",
    '{{ t is eq t }}',
  ].map(
    use =>
      [
        `a long text, in a loop: ${use}`,
        `{% set t = 'a' * 8000000 %}{% for i in range(99999) %}${use}{% endfor %}`,
        /does not end within/,
      ] as const,
  ),
  [
    'characters of a long text',
    "{% set t = 'a' * 8000000 %}{% for c in t %}{% break %}{% endfor %}",
    /does not end within/,
  ],
  ['a huge number', '{{ 10 ** 10000000 }}', /an int is too large/],
  [
    'numbers that grow',
    '{% set n = namespace(x=3) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}',
    /an int is too large/,
  ],
  ['a huge range', '{{ range(1000000000)|length }}', /Range too big/],
  ...[
    '{{ range(10 ** 400, 10 ** 400) }}',
    "{{ '' * 10 ** 400 }}",
    '{{ [] * 10 ** 400 }}',
    '{{ [1]|tojson(indent=-(10 ** 15)) }}',
    "{{ 'a'.zfill(-(10 ** 15)) }}",
  ].map(
    use =>
      [
        `loops behind a length that is negative or no number: ${use}`,
        `${use}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}`,
        /does not end within|makes a text of more than/,
      ] as const,
  ),
  ['a batch that is filled', "{{ [1]|batch(1000000000, 'x')|list }}", /does not end within/],
  ['slices of a short list', '{{ [1]|slice(1000000000)|list }}', /does not end within/],
  ['many lines that are indented far', "{{ ('a\\n' * 1000)|indent(100000) }}", /more than 8388608 characters/],
  [
    'digits that are no number',
    "{{ ('1' * 4000000 ~ 'x')|float }}{% for a in range(99999) %}{{ a }}{% endfor %}{{ 1/0 }}",
    /./,
  ],
  ['a run of spaces before a tag', `${' '.repeat(500_000)}x{%- if 1 %}{{ 1/0 }}{% endif %}`, /division by zero/],
  ['an int of many digits', `{{ ${'9'.repeat(5000)} }}`, /an int has more than 4300 digits/],
  ['a template without end', ' '.repeat(600_000), /has 600000 characters, more than the 524288 that are read/],
  ['nested parentheses', `{{ ${'('.repeat(5000)}1${')'.repeat(5000)} }}`, /nested more than 200 deep/],
  ['nested lists', `{{ ${'['.repeat(5000)}1${']'.repeat(5000)} }}`, /nested more than 200 deep/],
  ['nested conditions', `${'{% if 1 %}'.repeat(5000)}${'{% endif %}'.repeat(5000)}`, /nested more than 200 deep/],
  ['many signs', `{{ ${'-'.repeat(5000)}1 }}`, /nested more than 200 deep/],
  ['many negations', `{{ ${'not '.repeat(5000)}1 }}`, /nested more than 200 deep/],
]

for (const [name, template, sentence] of endless) {
  test(`${name}: the rendering ends, soon, with a sentence`, () => {
    const begun = performance.now()
    assert.throws(
      () => rendered(template),
      error => error instanceof TemplateError && sentence.test(error.message),
    )
    assert.ok(performance.now() - begun < 5000)
  })
}

test('a name that every object of JavaScript has is undefined in a template', () => {
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf'])
    for (const template of [
      `{{ ${name} }}`,
      `{{ a.${name} }}`,
      `{{ a['${name}'] }}`,
      `{{ [a]|map(attribute='${name}')|join }}`,
    ])
      assert.equal(rendered(template, { a: {} }), '')
})

test('data that stands for what a template reads as an int is refused, and so is an int that Python does not read', () => {
  assert.throws(() => parseData('{"\\u0000int": "x"}'), /a key begins with the character U\+0000/)
  assert.throws(() => parseData(`[${'9'.repeat(5000)}]`), /an int has more than 4300 digits/)
  assert.deepEqual(parseData(`["${'x'.repeat(5e6)}", 1.0]`), ['x'.repeat(5e6), new Float(1)])
})

test('long conversations are far from the limits', () => {
  const messages = Array.from({ length: 2000 }, (_, i) => ({
    role: i % 2 === 0 ? 'user' : 'assistant',
    content: 'words '.repeat(200),
  }))
  const text = rendered('{% for m in messages %}<|{{ m.role }}|>{{ m.content|trim }}<|end|>{% endfor %}', { messages })
  assert.ok(text.length > 2_000_000)
})

test('values that are nested deeper than the stack end with a sentence', () => {
  const deep: unknown = JSON.parse(`${'['.repeat(5000)}${']'.repeat(5000)}`)
  const wide = Array.from({ length: 20000 }).reduce<unknown>(inner => [inner], 1)
  for (const value of [deep, wide]) {
    try {
      rendered('{{ a|tojson }}{{ a }}', { a: value })
    } catch (error) {
      assert.ok(error instanceof TemplateError)
    }
  }
})

test('whatever a template is, it renders or ends with a TemplateError', () => {
  const piece = fc.constantFrom(
    '{{',
    '}}',
    '{%',
    '%}',
    '{#',
    '#}',
    '-',
    '+',
    ' ',
    '\n',
    'a',
    'for',
    'in',
    'if',
    'endif',
    'endfor',
    'set',
    '=',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    '"',
    "'",
    '\\',
    '|',
    '.',
    ',',
    ':',
    '1',
    '1.5',
    'is',
    'not',
    'and',
    '~',
    '*',
    '%',
    'macro',
    'endmacro',
    'raw',
    'endraw',
    'generation',
    'endgeneration',
    'loop',
    'upper',
    'tojson',
    'é',
    '🙂',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), pieces => {
      try {
        rendered(pieces.join(''), { a: [1, { a: 'b' }] })
      } catch (error) {
        assert.ok(error instanceof TemplateError, String(error))
      }
    }),
    { numRuns: 2000 },
  )
})

test("strftime_now writes a time as Python's strftime does", () => {
  const format = '%Y %y %m %-m %d %-d %e %H %I %M %S %f %j %p %a %A %b %B %U %W %V %u %w %% %D %F %T %R'
  // datetime(2024, 7, 6, 15, 4, 5, 678000).strftime(format)
  assert.equal(
    rendered('{{ strftime_now(format) }}', { format }),
    '2024 24 07 7 06 6  6 15 03 04 05 678000 188 PM Sat Saturday Jul July 26 27 27 6 6 % 07/06/24 2024-07-06 15:04:05 15:04',
  )
  assert.throws(() => rendered("{{ strftime_now('%Q') }}"), /the format "%Q" of strftime_now is not supported/)
})

test('JSON is read as Python reads it: floats, large ints and the order of keys', () => {
  const source =
    '{"b": 1.0, "2": 1e3, "1": -0.0, "a": [12345678901234567890, 1.5, 7, "1.0", "2: 3.0"], "s\\"1\\"": null}'
  const data = parseData(source) as Readonly<Record<string, unknown>>
  assert.ok(data['b'] instanceof Float)
  assert.equal(
    rendered('{{ data|tojson }}', { data }),
    '{"b": 1.0, "2": 1000.0, "1": -0.0, "a": [12345678901234567890, 1.5, 7, "1.0", "2: 3.0"], "s\\"1\\"": null}',
  )
  assert.equal(rendered('{{ data }}', { data: { 2: true, a: null } }), "{'2': True, 'a': None}")
  fc.assert(
    fc.property(fc.json({ maxDepth: 3 }), text => {
      const plain = (value: unknown): unknown =>
        value instanceof Float
          ? value.value
          : typeof value === 'bigint'
            ? Number(value)
            : Array.isArray(value)
              ? value.map(plain)
              : typeof value === 'object' && value !== null
                ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key.replace(/^\0/, ''), plain(item)]))
                : value
      assert.deepEqual(plain(parseData(text)), JSON.parse(text))
    }),
  )
  assert.throws(() => parseData('{"a": 1.}'))
})
