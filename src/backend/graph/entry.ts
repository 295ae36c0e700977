import { SessionError, type Buffer } from '../device.ts'
import { emptyBody, type Body, type Ref } from './body.ts'
import { called, choice, type GraphFunction, type Library } from './library.ts'
import type { LoadedGraph } from './load.ts'
import { numberAt, pack, unpack, type Input, type Inputs } from './packed.ts'
import { scopeIn, type Precision, type Scope, type Writing } from './scope.ts'
import type { Graph } from './saved-model.ts'
import type { GraphType } from './types.ts'

export type Refs = Readonly<Record<string, Ref>>
export type Buffers = Readonly<Record<string, Buffer>>
/**
 * Adds a question that a graph can answer: a function with named inputs and results, and of all sizes that are only
 * known then.
 */
export type Define = (
  name: string,
  inputs: Inputs,
  precision: Precision,
  write: (scope: Scope, given: Refs) => Refs,
) => void

/** All the questions that a graph can answer, behind one signature. */
export interface Entry {
  readonly define: Define
  /** The same for functions that move data and multiply nothing: they need one function, others need two. */
  readonly defineMove: Define
  readonly graph: () => Graph
  /** Asks a loaded graph a question. Sizes that the question does not need may be left out. */
  readonly ask: (loaded: LoadedGraph) => (name: string, feeds: Buffers) => Buffers
}

interface Question {
  readonly inputs: Inputs
  readonly outputs: readonly string[]
  readonly f: GraphFunction
  readonly moves: boolean
}
/** Questions with the same inputs and results, which share one answering function. */
interface Answer {
  readonly questions: readonly string[]
  readonly inputs: Inputs
  readonly outputs: readonly string[]
  readonly functions: readonly Question[]
}

const signature = 'ask'
const keyOf = (name: string, type: GraphType): string => `${name}:${type}`
const typeOf = (key: string): GraphType => key.slice(key.lastIndexOf(':') + 1) as GraphType
const scalar: Input = { type: 'i32', rank: 0 }

/** The name of the input for the size of a dim. */
export const sizeInput = (name: string): string => `size/${name}`

/**
 * An entry without questions. TensorFlow prepares a main graph of more than three nodes again for every set of inputs
 * and outputs, which takes a quarter of a second each. So the main graph has three nodes: two vectors that contain all
 * inputs of a question, and a call that chooses the function that answers it. All answers have the same results; those
 * that do not belong to the question are 0.
 */
export const emptyEntry = (library: Library, writing: Writing): Entry => {
  const questions = new Map<string, Question>()
  const sizes: Inputs = Object.fromEntries(writing.dynamic.map(name => [sizeInput(name), scalar]))
  const defining =
    (moves: boolean): Define =>
    (name, inputs, precision, write) => {
      const all = { ...inputs, ...sizes }
      const names = Object.keys(all)
      let made: Refs = {}
      const f = library.define({
        name,
        parameters: Object.values(all).map(({ type }) => type),
        write: (into, refs) => {
          const given = Object.fromEntries(names.map((key, i) => [key, refs[i]!]))
          made = write(
            scopeIn(
              into,
              writing.dynamic.map(size => given[sizeInput(size)]!),
              writing,
              precision,
            ),
            given,
          )
          // a function must return something, so that it can be one of several alternatives
          return Object.keys(made).length > 0 ? Object.values(made) : [into.constant(0, 'i32')]
        },
      })
      questions.set(name, {
        inputs: all,
        outputs: Object.entries(made).map(([output, { type }]) => keyOf(output, type)),
        f,
        moves,
      })
    }
  return {
    define: defining(false),
    defineMove: defining(true),
    graph: () => {
      const main = emptyBody('graph')
      const answers = answersOf(questions)
      const outputs = [...new Set(answers.flatMap(answer => answer.outputs))]
      const functions = answers.map(answer => answerFunction(library, answer, outputs))
      const ask = library.define({
        name: signature,
        parameters: ['i32', 'f32'],
        write: (into, [ints, floats]) => choice(into, numberAt(into, ints!, 0), functions, [ints!, floats!]).outputs,
      })
      const given = { ints: functionInput(main, 'i32'), floats: functionInput(main, 'f32') }
      const made = called(main, ask, [given.ints, given.floats]).outputs
      return {
        main,
        library,
        signatures: {
          [signature]: { inputs: given, outputs: Object.fromEntries(outputs.map((key, i) => [key, made[i]!])) },
        },
      }
    },
    ask: loaded => {
      const numbers = new Map(
        answersOf(questions).flatMap((answer, i) => answer.questions.map((name, which) => [name, [i, which]] as const)),
      )
      return (name, feeds) => {
        const question = questions.get(name)
        if (question === undefined) throw new SessionError(`the graph cannot be asked for ${name}`)
        const known = { ...Object.fromEntries(writing.dynamic.map(size => [sizeInput(size), integer(1)])), ...feeds }
        const { ints, floats } = pack(numbers.get(name)!, question.inputs, known)
        const made = loaded.run(signature, {
          ints: { sizes: [ints.length], dtype: 'i32', data: ints },
          floats: { sizes: [floats.length], dtype: 'f32', data: floats },
        })
        return Object.fromEntries(question.outputs.map(key => [key.slice(0, key.lastIndexOf(':')), made[key]!]))
      }
    },
  }
}

const answersOf = (questions: ReadonlyMap<string, Question>): readonly Answer[] => {
  const found = new Map<string, Answer>()
  for (const [name, question] of questions) {
    const { inputs, outputs } = question
    const key = JSON.stringify([inputs, outputs])
    const known = found.get(key) ?? { questions: [], inputs, outputs, functions: [] }
    found.set(key, { ...known, questions: [...known.questions, name], functions: [...known.functions, question] })
  }
  return [...found.values()]
}

/** An answer in the common form: it takes two vectors, and returns all results that any question has. */
const answerFunction = (
  library: Library,
  { inputs, outputs, functions }: Answer,
  all: readonly string[],
): GraphFunction =>
  library.define({
    name: 'answer',
    parameters: ['i32', 'f32'],
    write: (into, [ints, floats]) => {
      const given = Object.values(unpack(into, inputs, ints!, floats!))
      const [only, ...more] = functions
      const made = (
        more.length === 0
          ? called(into, only!.f, given)
          : choice(
              into,
              numberAt(into, ints!, 1),
              functions.map(({ f, moves }) => (moves ? f : calling(library, f))),
              given,
            )
      ).outputs
      // one of each type: a model may have hundreds of results
      const absent = new Map(
        [...new Set(all.map(typeOf))].map(type => [type, into.cast(into.constant(0, 'i32'), type)] as const),
      )
      return all.map(key => made[outputs.indexOf(key)] ?? absent.get(typeOf(key))!)
    },
  })

const functionInput = (main: Body, type: GraphType): Ref =>
  main.apply('Placeholder', [], { dtype: { type } }, { name: type })

/** Scalars in the form in which a graph takes them. */
export const integer = (value: number): Buffer => ({ sizes: [], dtype: 'i32', data: Int32Array.of(value) })
export const real = (value: number): Buffer => ({ sizes: [], dtype: 'f32', data: Float32Array.of(value) })

/**
 * A function that only calls another. In a function that Case runs directly, TensorFlow does not choose the kernels
 * again, so products would not use oneDNN's.
 */
const calling = (library: Library, f: GraphFunction): GraphFunction =>
  library.define({ name: 'call', parameters: f.parameters, write: (into, refs) => called(into, f, refs).outputs })
