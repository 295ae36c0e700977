import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { pythonRegex } from '../../src/tune/modules/python-regex.ts'
import { isHead } from '../../src/model/index.ts'
import { resolveSaved, resolveTargets, type TargetRequest } from '../../src/tune/modules/modules.ts'
import { message, right } from '../support/tokenizers.ts'

const attention = ['q_proj', 'k_proj', 'v_proj', 'o_proj']
const mlp = ['gate_proj', 'up_proj', 'down_proj']
const linear = [
  ...[0, 1, 2, 11].flatMap(i => [
    ...attention.map(name => `model.layers.${i}.self_attn.${name}`),
    ...mlp.map(name => `model.layers.${i}.mlp.${name}`),
  ]),
  'lm_head',
]
const all = ['model.embed_tokens', ...linear, 'model.norm', 'model.layers.0.input_layernorm']

const request = (fields: Partial<TargetRequest>): TargetRequest => ({ targetModules: ['q_proj'], rank: 8, ...fields })
const paths = (fields: Partial<TargetRequest>): readonly string[] =>
  right(resolveTargets(request(fields), linear, isHead)).map(({ path }) => path)
const refused = (fields: Partial<TargetRequest>): string => message(resolveTargets(request(fields), linear, isHead))

// the answers of `check_target_module_exists` of PEFT 0.21.2 for the same fields
test('modules are named by their path, by the words it ends with, or by one expression for all of it', () => {
  const q = (...layers: readonly number[]) => layers.map(i => `model.layers.${i}.self_attn.q_proj`)
  assert.deepEqual(paths({ targetModules: ['q_proj'] }), q(0, 1, 2, 11))
  assert.deepEqual(paths({ targetModules: ['0.self_attn.q_proj'] }), q(0), 'a word is a whole word')
  assert.deepEqual(paths({ targetModules: ['1.self_attn.q_proj'] }), q(1))
  assert.deepEqual(paths({ targetModules: ['model.layers.2.self_attn.q_proj', 'lm_head'] }), [...q(2), 'lm_head'])
  assert.deepEqual(paths({ targetModules: 'model\\.layers\\.[01]\\..*\\.q_proj' }), q(0, 1))
  assert.deepEqual(
    paths({ targetModules: '.*(q|v)_proj' }),
    linear.filter(path => /(q|v)_proj$/.test(path)),
  )
  assert.match(
    refused({ targetModules: 'q_proj' }),
    /^target_modules: "q_proj" leaves no module: there are q_proj, k_proj/,
  )
})
test('all-linear is every linear module except the head; exclusions and layers narrow it', () => {
  for (const targetModules of ['all-linear', 'ALL-linear'])
    assert.deepEqual(paths({ targetModules }), linear.slice(0, -1))
  assert.deepEqual(
    paths({ targetModules: [...attention, ...mlp], excludeModules: mlp, layersToTransform: [1, 11] }),
    [1, 11].flatMap(i => attention.map(name => `model.layers.${i}.self_attn.${name}`)),
  )
  assert.deepEqual(
    paths({ targetModules: 'all-linear', excludeModules: '.*\\.(mlp|layers\\.(?!0\\.)\\d+)\\..*' }),
    attention.map(name => `model.layers.0.self_attn.${name}`),
  )
  assert.deepEqual(paths({ layersToTransform: [0], layersPattern: ['h', 'layers'] }), [
    'model.layers.0.self_attn.q_proj',
  ])
  assert.deepEqual(
    paths({ targetModules: ['q_proj', 'lm_head'], layersToTransform: [0] }),
    ['model.layers.0.self_attn.q_proj', 'lm_head'],
    'a whole path is meant',
  )
  assert.match(
    refused({ layersToTransform: [0], layersPattern: ['h'] }),
    /layers_to_transform: there is no layer 0: there are none/,
  )
})
test('ranks and alphas by pattern: the first that matches the end of a path counts', () => {
  const resolved = (fields: Partial<TargetRequest>) =>
    right(resolveTargets(request({ layersToTransform: [0, 1], ...fields }), linear, isHead)).map(({ rank, alpha }) => [
      rank,
      alpha,
    ])
  assert.deepEqual(resolved({}), [
    [8, 8],
    [8, 8],
  ])
  assert.deepEqual(
    resolved({ rankPattern: { 'layers.1.self_attn.q_proj': 4 } }),
    [
      [8, 8],
      [4, 4],
    ],
    'alpha is the rank unless given',
  )
  assert.deepEqual(
    resolved({
      alpha: 16,
      rankPattern: { 'layers.1.self_attn.q_proj': 4, 'q_proj': 2 },
      alphaPattern: { '(0|1).self_attn..*': 32 },
    }),
    [
      [2, 32],
      [4, 32],
    ],
  )
  assert.deepEqual(resolved({ alpha: 16, rankPattern: { '.*0.*_proj': 3 } }), [
    [3, 16],
    [8, 16],
  ])
  assert.match(refused({ rankPattern: { k_proj: 2 } }), /^rank_pattern: "k_proj" matches no target: there are q_proj$/)
  assert.match(refused({ alphaPattern: { 'x(': 2 } }), /^alpha_pattern: .* is no regular expression that is supported$/)
})
test('what is saved whole is never adapted, and is named by its path, its words, or the module that it lies in', () => {
  const saved = (...modulesToSave: readonly string[]) => right(resolveSaved({ modulesToSave }, all))
  assert.deepEqual(saved('lm_head', 'model.norm'), ['lm_head', 'model.norm'])
  assert.deepEqual(saved('norm'), ['model.norm', 'model.layers.0.input_layernorm'], 'as PEFT has it, within words too')
  assert.deepEqual(
    saved('model.layers.0.mlp'),
    mlp.map(name => `model.layers.0.mlp.${name}`),
  )
  assert.deepEqual(saved(), [])
  assert.deepEqual(paths({ targetModules: ['up_proj', 'q_proj'], layersToTransform: [0], modulesToSave: ['mlp'] }), [
    'model.layers.0.self_attn.q_proj',
  ])
  assert.match(
    message(resolveSaved({ modulesToSave: ['score'] }, all)),
    /^modules_to_save: no module is called "score": there are embed_tokens, /,
  )
})
test('names and fields that mean nothing are refused with one sentence', () => {
  assert.match(
    refused({ targetModules: ['q_proj', 'query'] }),
    /^target_modules: no module is called "query": there are q_proj, k_proj, .*lm_head$/,
  )
  assert.match(refused({ targetModules: ['proj'] }), /no module is called "proj"/)
  assert.match(refused({ targetModules: [] }), /^target_modules: \[\] leaves no module/)
  assert.match(refused({ layersToTransform: [3] }), /^layers_to_transform: there is no layer 3: there are 0, 1, 2, 11$/)
  assert.match(refused({ excludeModules: ['q_proj'] }), /leaves no module/)
  assert.match(
    refused({ targetModules: '.*', layersToTransform: [0] }),
    /^layers_to_transform cannot be used where target_modules is a regular expression$/,
  )
  assert.match(refused({ targetModules: '.*', layersPattern: ['layers'] }), /^layers_pattern cannot be used/)
  assert.match(refused({ layersPattern: ['layers'] }), /^layers_pattern needs layers_to_transform$/)
  assert.match(
    refused({ targetModules: '(?i).*Q_PROJ' }),
    /^target_modules: .* has inline flags of Python's re, which is not supported$/,
  )
})

test('expressions mean what they mean to Python, or are refused', () => {
  const matches = (pattern: string, text: string): boolean => right(pythonRegex('f', pattern)).test(text)
  assert.ok(matches('(?P<a>q|v)_proj(?P=a)', 'q_projq') && !matches('(?P<a>q|v)_proj(?P=a)', 'q_projv'))
  assert.ok(matches('\\Alm_head\\Z', 'lm_head') && matches('a|b', 'b') && !matches('a|b', 'bb'))
  assert.ok(
    matches('layers\\.\\d+\\.(?!mlp).*', 'layers.7.self_attn') &&
      matches('[\\w.]+', 'a.b_c') &&
      matches('[(?#]+', '(?#'),
  )
  for (const pattern of [
    '(?i)a',
    '(?s:a)',
    '(?#c)a',
    '(?(1)a|b)',
    '(?>a)',
    'a*+',
    'a{2}+',
    'a{,3}',
    '[]a]',
    '[^]a]',
    '\\G',
    '\\zb',
    '(',
    'a**',
    '[b-a]',
  ]) {
    assert.match(message(pythonRegex('f', pattern)), /^f: .*(not supported|that is supported)/, pattern)
  }
})

/** Every text that is no operator stands for itself alone, as a module's name does. */
const literally = (make: typeof pythonRegex) =>
  fc.property(fc.stringMatching(/^\w+(\.\w+)*$/), fc.stringMatching(/^\w+(\.\w+)*$/), (name, other) => {
    const escaped = right(make('f', name.replaceAll('.', '\\.')))
    return (
      escaped.test(name) &&
      escaped.test(other) === (name === other) &&
      !escaped.test(`${name}x`) &&
      !escaped.test(`x${name}`)
    )
  })
test('an escaped name matches itself alone; the property refutes an expression that is searched for', () => {
  fc.assert(literally(pythonRegex))
  assert.throws(() => fc.assert(literally((_, pattern) => E.right(new RegExp(pattern)))))
})
