import assert from 'node:assert/strict'
import { test } from 'node:test'
import { searchOf, timeLimit, wholeMatch } from '../../src/text/expression.ts'
import { pythonRegex } from '../../src/tune/modules/python-regex.ts'
import { isHead } from '../../src/model/index.ts'
import { patternMatcher, resolveTargets, targetMatcher } from '../../src/tune/modules/modules.ts'
import { message, right } from '../support/tokenizers.ts'

const origin = { subject: 'field', source: 'the expression' }
const evil = '(a+)+$'
const many = `${'a'.repeat(40)}!`
const elapsed = (run: () => void): number => {
  const began = performance.now()
  run()
  return performance.now() - began
}

test('an expression that backtracks for ever ends at once in linear time, and after a second where RE2 cannot say it', () => {
  assert.ok(elapsed(() => assert.equal(wholeMatch(origin, { js: evil, re2: evil }).test(many), false)) < 500)
  const looking = wholeMatch(origin, { js: `(?!b)${evil}`, re2: undefined })
  const taken = elapsed(() =>
    assert.throws(
      () => looking.test(many),
      /^Error: field: the expression "the expression" searches a text of 41 characters for more than a second$/,
    ),
  )
  assert.ok(taken >= timeLimit - 1 && taken < 30 * timeLimit)
  assert.equal(searchOf(origin, { js: evil, re2: evil })(many).length, 0)
  assert.throws(
    () => searchOf(origin, { js: `(?!b)${evil}`, re2: undefined })(many),
    /searches a text of 41 characters for more than a second/,
  )
})

test('where nothing can interrupt a search, an expression that needs it is refused, and others run', () => {
  const { getBuiltinModule } = process
  try {
    Object.assign(process, { getBuiltinModule: undefined })
    assert.ok(wholeMatch(origin, { js: 'a+', re2: 'a+' }).test('aa'))
    assert.throws(
      () => wholeMatch(origin, { js: '(?!b)a+', re2: undefined }),
      /^Error: field: the expression "the expression" may search without end, and only Node 20\.16 or later can stop it$/,
    )
  } finally {
    Object.assign(process, { getBuiltinModule })
  }
})

test('the second is one of all texts together', () => {
  const slow = wholeMatch(origin, { js: '(?!b)(a+)+c', re2: undefined })
  const texts = Array.from({ length: 1e5 }, () => 'a'.repeat(19))
  let tried = 0
  assert.throws(
    () =>
      texts.forEach(text => {
        slow.test(text)
        tried++
      }),
    /more than a second/,
  )
  assert.ok(tried > 0 && tried < texts.length, 'a limit for each text alone would never be reached (a mutant)')
})

test('both engines find the same, groups included', () => {
  const patterns = ['(a|ab)(c|bcd)(d*)', '(?<first>a+?)b*', 'a{2,3}', '[^b]+', '(x|)y?']
  for (const pattern of patterns) {
    const linear = wholeMatch(origin, { js: pattern, re2: pattern })
    const backtracking = wholeMatch(origin, { js: pattern, re2: undefined })
    for (const text of ['abcd', 'aab', 'aaa', 'ac', 'b', 'y', '']) {
      assert.equal(linear.test(text), backtracking.test(text), `${pattern} on ${text}`)
      assert.deepEqual(linear.exec(text)?.groups?.['first'], backtracking.exec(text)?.groups?.['first'])
      assert.deepEqual(
        searchOf(origin, { js: pattern, re2: pattern })(text),
        searchOf(origin, { js: pattern, re2: undefined })(text),
      )
    }
  }
})

const paths = Array.from({ length: 32 }, (_, i) => `model.layers.${i}.self_attn.q_proj`)

test('targets, exclusions and patterns that would hang PEFT end: in linear time, or refused by name', () => {
  const hanging = '(.*_?)*(.*_?)*(.*_?)*x'
  const request = { targetModules: 'model.*', rank: 8 }
  assert.match(
    message(resolveTargets({ ...request, targetModules: hanging }, paths, isHead)),
    /^target_modules: .* leaves no module/,
  )
  assert.equal(right(resolveTargets({ ...request, excludeModules: hanging }, paths, isHead)).length, 32)
  assert.match(
    message(resolveTargets({ ...request, rankPattern: { [hanging]: 4 } }, paths, isHead)),
    /^rank_pattern: .* matches no target/,
  )
  assert.match(
    message(resolveTargets({ ...request, alphaPattern: { [hanging]: 4 } }, paths, isHead)),
    /^alpha_pattern: .* matches no target/,
  )
  const looking = '(?!y)(?:[a-z0-9._]+)+(?:[a-z0-9._]+)+(?:[a-z0-9._]+)+X'
  assert.match(
    message(resolveTargets({ ...request, targetModules: looking }, paths, isHead)),
    /^target_modules: the expression "\(\?!y\)\(\?:\[a-z0-9\._\]\+\)\+.*" searches a text of 31 characters for more than a second$/,
  )
  assert.throws(
    () => right(targetMatcher({ targetModules: looking }, isHead))(paths[0]!),
    /^Error: target_modules: the expression/,
  )
  assert.throws(
    () => right(patternMatcher('rank_pattern', { [looking]: 1 }))(paths[0]!),
    /^Error: rank_pattern: the expression/,
  )
})

test('what Python says is what both engines say', () => {
  const matches = (pattern: string, text: string): boolean => right(pythonRegex('f', pattern)).test(text)
  assert.ok(matches('[[:alpha:]]', 'a]'), 'to Python a class inside a class is characters, as RE2 does not have it')
  assert.ok(!matches('[[:alpha:]]', 'z'))
  assert.ok(matches('\\x41\\.', 'A.') && matches('a{1001}', 'a'.repeat(1001)), 'RE2 repeats a thousand times at most')
  assert.match(message(pythonRegex('f', '\\x{41}')), /^f: \\x in "\\\\x\{41\}" is not supported$/)
  assert.equal(
    right(pythonRegex('f', '(?:|.*?\\.)(?:h|layers)\\.(?P<index>\\d+)\\..*')).exec('model.layers.7.mlp')?.groups?.[
      'index'
    ],
    '7',
  )
  assert.match(
    message(pythonRegex('f', `${'a'.repeat(300)}(`)),
    /^f: "a{58}… is no regular expression that is supported$/,
  )
})
