import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import {
  broadcastTo,
  concat,
  einsum,
  erf,
  f32,
  i32,
  iota,
  matmul,
  nonzero,
  put,
  range,
  reshape,
  scalar,
  size,
  slice,
  sum,
  take,
  vector,
  type Node,
} from '../../src/index.ts'
import {
  alongGradient,
  columns,
  composites,
  count,
  dequantize,
  directional,
  entries,
  gradients,
  interpret,
  placeholder,
  whole,
  u,
  type Numbers,
  type Op,
} from '../../src/compiler.ts'
import { instances, registry, sizeIn, subjects, type Instance, type Subject } from '../support/op-subjects.ts'
import {
  allEqual,
  differentiate,
  dot,
  equal,
  moved,
  near,
  noise,
  quotient,
  run,
  wrongVjp,
} from '../support/calculus.ts'

/** A law over instances, and a wrong version of an expression that the same law must refute. */
interface Law {
  readonly name: string
  readonly runs: number
  readonly holds: (instance: Instance) => boolean
  readonly mutant: (root: Node) => Node
  /** True if the mutant changes anything about this op. */
  readonly isRefuted: (name: string) => boolean
}

const withOp =
  (change: (op: Op) => Partial<Op>) =>
  (root: Node): Node => ({ ...root, op: { ...root.op, ...change(root.op) } })
const boundOf = ({ size }: Instance, { shape, inputs }: Node) => ({ sizes: shape.map(size), size, inputs })

/** Ops through whose result no derivative flows: theirs is 0 or none. */
const discrete = new Set([
  'constant',
  'size',
  'iota',
  'equal',
  'less',
  'lessEqual',
  'notEqual',
  'greater',
  'greaterEqual',
  'and',
  'or',
  'not',
  'floor',
  'round',
  'oneHot',
  'nonzero',
  'argsort',
  'argmax',
  'argmin',
  'randomBits',
  'randomUniform',
  'dequantize',
  'sign',
  'stopGradient',
])
/** Ops without an evaluation of their own. */
const structural = new Set(['parameter', 'call', 'loop', 'result'])

/**
 * Random tangents for the differentiable leaves of an expression: their placeholders, their data, and the feeds moved
 * along them.
 */
const alongTangents = ({ differentiable, feeds }: Instance, seed: number) => {
  const tangents = differentiable.map(({ shape }) => placeholder(shape, 'f32'))
  const directions = differentiable.map((leaf, i) => noise(feeds.get(leaf)!.sizes, seed + i))
  return {
    tangents,
    directions,
    given: tangents.map((tangent, i) => [tangent, directions[i]!] as const),
    moved: (from: ReadonlyMap<Node, Numbers>, step: number): ReadonlyMap<Node, Numbers> =>
      new Map([
        ...from,
        ...differentiable.map((leaf, i) => [leaf, moved(from.get(leaf)!, directions[i]!, step)] as const),
      ]),
  }
}

const laws: readonly Law[] = [
  {
    name: 'the sizes of the shape are the sizes of what eval computes',
    runs: 50,
    holds: ({ root, feeds, size }) => {
      const [value] = interpret([root], feeds, size)
      return (
        value!.sizes.join() === root.shape.map(size).join() &&
        value!.data.length === count(value!.sizes) &&
        value!.data.every(Number.isFinite)
      )
    },
    // one slice too few
    mutant: withOp(op => ({
      eval: (...of) => {
        const y = op.eval(...of)
        return { ...y, data: y.data.subarray(1) }
      },
    })),
    isRefuted: name => !structural.has(name),
  },
  {
    name: 'the signature of a node is what the shape rule says, and the rule is deterministic',
    runs: 30,
    holds: ({ root }) => {
      const said = root.op.shape(root.inputs, root.attributes)
      return E.isRight(said) && said.right.shape.join() === root.shape.join() && said.right.dtype === root.dtype
    },
    mutant: withOp(op => ({
      shape: (inputs, attributes) =>
        E.Functor.map(op.shape(inputs, attributes), s => ({ ...s, shape: [...s.shape, 1] })),
    })),
    isRefuted: () => true,
  },
  {
    name: 'the vjp is the central difference of eval, summed over what was broadcast',
    runs: 60,
    holds: instance => {
      const { root, differentiable, feeds } = instance
      if (root.dtype !== 'f32') return true
      const dy = placeholder(root.shape, 'f32')
      const cotangent = noise(root.shape.map(instance.size), 1)
      const computed = run(
        { ...instance, feeds: new Map(feeds).set(dy, cotangent) },
        differentiate(root, dy, differentiable),
      )
      return differentiable.every((leaf, i) => {
        const direction = noise(feeds.get(leaf)!.sizes, 2 + i)
        return (
          computed[i]!.sizes.join() === direction.sizes.join() &&
          near(dot(computed[i]!, direction), quotient(instance, root, cotangent, leaf, direction))
        )
      })
    },
    mutant: wrongVjp,
    isRefuted: name => !discrete.has(name) && name !== 'parameter',
  },
  {
    name: 'the derivative along tangents is the central difference of eval',
    runs: 40,
    holds: instance => {
      const { root, differentiable } = instance
      if (root.dtype !== 'f32') return true
      const { tangents, given, moved } = alongTangents(instance, 4)
      const cotangent = noise(root.shape.map(instance.size), 1)
      const [dy] = run(
        { ...instance, feeds: new Map([...instance.feeds, ...given]) },
        directional([root], differentiable, tangents).tangents,
      )
      const value = (h: number): number =>
        dot(run({ ...instance, feeds: moved(instance.feeds, h) }, [root])[0]!, cotangent)
      return near(dot(dy!, cotangent), (value(1e-5) - value(-1e-5)) / 2e-5)
    },
    mutant: wrongVjp,
    isRefuted: name => !discrete.has(name) && name !== 'parameter',
  },
  {
    name: 'a Hessian-vector product of Σ c y³ is the mixed second difference of eval',
    runs: 40,
    holds: instance => {
      const { root, differentiable } = instance
      if (root.dtype !== 'f32') return true
      const along = alongTangents(instance, 4)
      const across = alongTangents(instance, 40)
      const weights = noise(root.shape.map(instance.size), 1)
      const c = placeholder(root.shape, 'f32')
      const axes = root.shape.map((_, axis) => axis)
      const wanted = differentiable.map(whole)
      const loss = u.sum(u.mul(c, u.mul(root, u.mul(root, root))), axes)
      const products = gradients(
        alongGradient([loss], [scalar(1)], wanted, along.tangents),
        [scalar(1)],
        wanted,
      ).gradients
      const fed = new Map([...instance.feeds, [c, weights] as const])
      const made = run({ ...instance, feeds: new Map([...fed, ...along.given]) }, products)
      const value = (h: number, k: number): number =>
        run({ ...instance, feeds: across.moved(along.moved(fed, h), k) }, [loss])[0]!.data[0]!
      const mixed = (h: number): number => (value(h, h) - value(h, -h) - value(-h, h) + value(-h, -h)) / (4 * h * h)
      // one difference, or two extrapolated (Richardson): large sums round too much for the second, and the norm of a
      // row of one number bends too sharply for the first
      const computed = made.reduce((sum, product, i) => sum + dot(product, across.directions[i]!), 0)
      const once = mixed(1e-4)
      return near(computed, once, 1e-4) || near(computed, (4 * mixed(5e-5) - once) / 3, 1e-4)
    },
    mutant: wrongVjp,
    isRefuted: name => !discrete.has(name) && name !== 'parameter',
  },
  {
    name: 'the cost is a whole number of operations, and never less for larger dims',
    runs: 50,
    holds: instance => {
      const { root, sizes } = instance
      const cost = (of: typeof instance): number =>
        root.op.flops(
          root.inputs.map(input => input.shape.map(of.size)),
          root.attributes,
          boundOf(of, root),
        )
      const larger = Object.fromEntries(Object.entries(sizes).map(([name, n]) => [name, 2 * n]))
      const flops = cost(instance)
      return Number.isSafeInteger(flops) && flops >= 0 && cost({ ...instance, size: sizeIn(larger) }) >= flops
    },
    mutant: withOp(op => ({ flops: (...of) => -1 - op.flops(...of) })),
    isRefuted: () => true,
  },
]

for (const { name: law, runs, holds, mutant, isRefuted } of laws) {
  for (const [name, subject] of registry) {
    test(`${name}: ${law}`, () => {
      fc.assert(fc.property(instances(subject), holds), { numRuns: runs })
    })
  }
  test(`${law}: mutants of every op are refuted`, () => {
    const refuted = (subject: Subject): boolean =>
      fc.check(
        fc.property(instances(subject), instance => holds({ ...instance, root: mutant(instance.root) })),
        { numRuns: 200, endOnFailure: true },
      ).failed
    const survivors = registry.filter(([name, subject]) => isRefuted(name) && !refuted(subject))
    assert.deepEqual(
      survivors.map(([name]) => name),
      [],
    )
  })
}

for (const [name, op] of Object.entries(composites)) {
  if (discrete.has(name)) continue
  const property = (change: (root: Node) => Node) =>
    fc.property(instances(subjects[name as keyof typeof composites]), instance => {
      const root = change(instance.root)
      const dy = placeholder(root.shape, 'f32')
      const expanded = op.expand!(root.inputs, root.attributes as never)
      const own = root.op.vjp(root, dy)
      const of = gradients([expanded], [dy], instance.differentiable.map(whole)).gradients
      const fed = { ...instance, feeds: new Map(instance.feeds).set(dy, noise(root.shape.map(instance.size), 3)) }
      const values = run(fed, [root, expanded])
      return (
        equal(values[0]!, values[1]!) &&
        allEqual(
          run(
            fed,
            instance.differentiable.map(leaf => own[root.inputs.indexOf(leaf)]!),
          ),
          run(fed, of),
        )
      )
    })
  test(`${name}: its eval and its own vjp are those of its expansion`, () => {
    fc.assert(
      property(root => root),
      { numRuns: 60 },
    )
  })
  test(`${name}: a wrong vjp is refuted by its expansion`, () => {
    assert.equal(fc.check(property(wrongVjp), { numRuns: 200, endOnFailure: true }).failed, true)
  })
}

test('nothing flows back through stopGradient', () => {
  fc.assert(
    fc.property(instances(subjects.stopGradient), instance => {
      const [x] = instance.leaves
      const dy = placeholder(x!.shape, 'f32')
      return run(
        { ...instance, feeds: new Map(instance.feeds).set(dy, noise(x!.shape.map(instance.size), 1)) },
        differentiate(instance.root, dy, [x!]),
      )[0]!.data.every(v => v === 0)
    }),
  )
})

const of = (sizes: readonly number[], ...data: readonly number[]): Numbers => ({ sizes, data: Float64Array.from(data) })
const evaluated = (root: Node, ...feeds: readonly (readonly [Node, Numbers])[]): readonly number[] => [
  ...interpret([root], new Map(feeds), sizeIn({}))[0]!.data,
]

test('erf is the error function', () => {
  // Abramowitz and Stegun, table 7.1, and known values in the tails
  const table: readonly (readonly [number, number])[] = [
    [0, 0],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [2.5, 0.999593047982555],
    [3, 0.9999779095030014],
    [-1, -0.8427007929497149],
  ]
  const x = f32(7)
  const y = evaluated(erf(x), [x, of([7], ...table.map(([at]) => at))])
  table.forEach(([at, value], i) => assert.ok(Math.abs(y[i]! - value) < 1e-14, `erf ${at} is ${y[i]}`))
})

test('the maximum shares its cotangent between equals', () => {
  const x = f32(4)
  const y = u.max(x, [0])
  assert.deepEqual(evaluated(differentiate(y, u.constant(1), [x])[0]!, [x, of([4], 3, 1, 3, 2)]), [0.5, 0, 0.5, 0])
})

/** A function of the language for arguments whose shapes are known only here, or are wrong: `tsc` refuses them. */
const untyped = (f: unknown) => f as (...args: readonly unknown[]) => Node

/** Einstein summation by its definition: a sum over all values of all letters. */
const summation = (equation: string, operands: readonly Numbers[]): readonly number[] => {
  const [terms, out] = equation.split('->') as [string, string]
  const inputs = terms.split(',')
  const letters = [...new Set([...out, ...terms.replaceAll(',', '')])]
  const sizeOf = (letter: string): number =>
    operands.flatMap((x, i) => (inputs[i]!.includes(letter) ? [x.sizes[inputs[i]!.indexOf(letter)]!] : []))[0]!
  const place = (term: string, at: ReadonlyMap<string, number>): number =>
    [...term].reduce((offset, letter) => offset * sizeOf(letter) + at.get(letter)!, 0)
  const result = Array.from({ length: count([...out].map(sizeOf)) }, () => 0)
  const visit = (left: readonly string[], at: ReadonlyMap<string, number>): void => {
    const [letter, ...rest] = left
    if (letter === undefined)
      result[place(out, at)]! += operands.reduce((product, x, i) => product * x.data[place(inputs[i]!, at)]!, 1)
    else for (let i = 0; i < sizeOf(letter); i++) visit(rest, new Map(at).set(letter, i))
  }
  visit(letters, new Map())
  return result
}

test('einsum is the sum over the letters that its output leaves out, for any number of operands', () => {
  // a letter that an operand repeats reads its diagonal
  const letters = fc.array(fc.constantFrom('i', 'j', 'k', 'l'), { maxLength: 3 }).map(all => all.join(''))
  fc.assert(
    fc.property(
      fc.array(letters, { minLength: 1, maxLength: 4 }),
      fc.integer(),
      fc.infiniteStream(fc.boolean()),
      (terms, seed, bits) => {
        const sizeOf = (letter: string): number => 'ijkl'.indexOf(letter) + 1
        const out = [...new Set(terms.join(''))].filter(() => bits.next().value).join('')
        const equation = `${terms.join()}->${out}`
        const inputs = terms.map(term => placeholder([...term].map(sizeOf), 'f32'))
        const data = terms.map((term, i) => noise([...term].map(sizeOf), seed + i))
        const y = evaluated(
          untyped(einsum)(equation, ...inputs),
          ...inputs.map((input, i) => [input, data[i]!] as const),
        )
        const expected = summation(equation, data)
        return y.length === expected.length && y.every((v, i) => near(v, expected[i]!, 1e-9))
      },
    ),
  )
})

test('a broken shape rule throws ShapeMismatch with its text', () => {
  const x = f32('batch', 'hidden')
  const down = f32('ffn', 'hidden')
  assert.throws(() => untyped(matmul)(x, down), {
    name: 'ShapeMismatch',
    message: 'matmul: inner dims hidden and ffn differ',
  })
  assert.throws(() => untyped(sum)(x, 2), {
    name: 'ShapeMismatch',
    message: 'reduce: axis 2 is out of range for [batch, hidden]',
  })
  assert.throws(() => untyped(put)(x, i32(8), f32('batch', 8, 1), 1), {
    name: 'ShapeMismatch',
    message: 'put: values [batch, 8, 1] are not [batch, 8]',
  })
  assert.throws(() => untyped(take)(x, i32(8), 2), {
    name: 'ShapeMismatch',
    message: 'take: axis 2 is out of range for [batch, hidden]',
  })
})

test('a dim that is no positive whole number, no name and no product is refused wherever one is declared', () => {
  const x = f32('n')
  const seen = f32('batch', 'n')
  const packed = { codes: i32('words'), absmax: f32('blocks') }
  const places: Readonly<Record<string, (dim: unknown) => Node>> = {
    f32: dim => untyped(f32)(dim),
    i32: dim => untyped(i32)(dim),
    parameter: dim => placeholder([dim as number], 'bool'),
    vector: dim => untyped(vector)([1], dim),
    size: dim => untyped(size)(dim),
    iota: dim => untyped(iota)(dim),
    range: dim => untyped(range)(dim),
    oneHot: dim => u.oneHot(i32(), dim as number),
    nonzero: dim => untyped(nonzero)(x, dim),
    reshape: dim => untyped(reshape)(x, [dim]),
    broadcastTo: dim => untyped(broadcastTo)(scalar(1), [dim]),
    slice: dim => untyped(slice)(seen, 1, { as: dim }),
    start: dim => untyped(slice)(seen, 1, { as: 1, start: [dim] }),
    concat: dim => untyped(concat)([x, x], 0, dim),
    dequantize: dim => untyped(dequantize)([dim], packed),
    randomBits: dim => u.randomBits(i32(3), i32(1), [dim as number]),
    columns: dim => columns(dim as number).index,
    entries: dim => entries(dim as number).index,
  }
  const says =
    /^dim (\d|as|start) is (0|-1|2\.5|NaN|Infinity|a b|2\*3|the text '7'|): ?(a dim is a positive|its normal form is 6|write the number)/
  for (const [name, declare] of Object.entries(places)) {
    for (const dim of [0, -1, 2.5, NaN, Infinity, '', 'a b', '2*3', '7']) {
      assert.throws(
        () => declare(dim),
        (error: Error) => error.name === 'ShapeMismatch' && says.test(error.message),
        `${name} of ${dim}`,
      )
    }
  }
})
