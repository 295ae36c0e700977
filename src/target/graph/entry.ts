import { SessionError, type Buffer } from '../device.ts'
import { emptyBody, type Ref } from './body.ts'
import { called, choice, type GraphFunction, type Library } from './library.ts'
import type { LoadedGraph } from './load.ts'
import { scopeIn, type Precision, type Scope, type Writing } from './program.ts'
import type { Graph } from './saved-model.ts'
import type { GraphType } from './types.ts'

export type Inputs = Readonly<Record<string, GraphType>>
export type Refs = Readonly<Record<string, Ref>>
/** Adds something that a graph can be asked: a function of named inputs, with named results; and of all sizes that are known only then. */
export type Define = (name: string, inputs: Inputs, precision: Precision, write: (scope: Scope, given: Refs) => Refs) => void
export type Buffers = Readonly<Record<string, Buffer>>

/** Everything that a graph can be asked, behind one signature. */
export interface Entry {
  readonly define: Define
  readonly graph: () => Graph
  /** Asks a loaded graph. Sizes that a question does not need may be left out. */
  readonly ask: (loaded: LoadedGraph) => (name: string, feeds: Buffers) => Buffers
}

interface Question { readonly f: GraphFunction; readonly inputs: Inputs; readonly outputs: readonly string[] }

const signature = 'ask', questionInput = 'question'
const keyOf = (name: string, type: string): string => `${name}:${type}`
export const sizeInput = (name: string): string => `size/${name}`

/**
 * An entry without questions yet. TensorFlow prepares the whole main graph anew for every set of inputs and outputs, which takes a
 * quarter of a second each: so all questions have the same inputs and outputs, and a number says which of them is asked.
 */
export const emptyEntry = (library: Library, writing: Writing): Entry => {
  const questions = new Map<string, Question>(), sizes: Inputs = Object.fromEntries(writing.dynamic.map(name => [sizeInput(name), 'i32' as const]))
  const unified = (of: (question: Question) => readonly string[]): readonly string[] => [...new Set([...questions.values()].flatMap(of))]
  const allInputs = (): readonly string[] => unified(({ inputs }) => Object.entries(inputs).map(([name, type]) => keyOf(name, type)))
  const outputKeys = ({ f, outputs }: Question): readonly string[] => outputs.map((name, i) => keyOf(name, f.results[i]!))
  const allOutputs = (): readonly string[] => unified(outputKeys)
  const typeOf = (key: string): GraphType => key.slice(key.lastIndexOf(':') + 1) as GraphType
  return {
    define: (name, inputs, precision, write) => {
      const all = { ...inputs, ...sizes }, names = Object.keys(all)
      let outputs: readonly string[] = []
      const f = library.define({
        name, parameters: Object.values(all),
        write: (into, refs) => {
          const made = write(scopeIn(into, refs.slice(Object.keys(inputs).length), writing, precision), Object.fromEntries(names.map((key, i) => [key, refs[i]!])))
          outputs = Object.keys(made)
          return Object.values(made)
        },
      })
      questions.set(name, { f, inputs: all, outputs })
    },
    graph: () => {
      const main = emptyBody('graph'), inputs = allInputs(), outputs = allOutputs()
      const branches = [...questions.values()].map(question => library.define({
        name: 'question', parameters: inputs.map(typeOf),
        write: (into, refs) => {
          const given = Object.entries(question.inputs).map(([name, type]) => refs[inputs.indexOf(keyOf(name, type))]!)
          const made = called(into, question.f, given).outputs, own = outputKeys(question)
          return outputs.map(key => (own.includes(key) ? made[own.indexOf(key)]! : into.cast(into.constant(0, 'i32'), typeOf(key))))
        },
      }))
      const index = main.apply('Placeholder', [], { dtype: { type: 'i32' } }, { name: questionInput })
      const placeholders = inputs.map((key, i) => main.apply('Placeholder', [], { dtype: { type: typeOf(key) } }, { name: `input${i}` }))
      const made = choice(main, index, branches, placeholders).outputs
      return { main, library, signatures: { [signature]: {
        inputs: { [questionInput]: index, ...Object.fromEntries(inputs.map((key, i) => [key, placeholders[i]!])) },
        outputs: Object.fromEntries(outputs.map((key, i) => [key, made[i]!])),
      } } }
    },
    ask: loaded => {
      const numbers = new Map([...questions.keys()].map((name, i) => [name, i])), inputs = allInputs()
      return (name, feeds) => {
        const question = questions.get(name)
        if (question === undefined) throw new SessionError(`the graph cannot be asked for ${name}`)
        const missing = Object.keys(question.inputs).find(input => feeds[input] === undefined && !input.startsWith(sizeInput('')))
        if (missing !== undefined) throw new SessionError(`${name} was not given ${missing}`)
        const given = Object.fromEntries(inputs.map(key => {
          const buffer = feeds[key.slice(0, key.lastIndexOf(':'))]
          return [key, buffer && buffer.dtype === typeOf(key) ? buffer : nothing(typeOf(key))]
        }))
        const made = loaded.run(signature, { [questionInput]: integer(numbers.get(name)!), ...given })
        return Object.fromEntries(question.outputs.map((output, i) => [output, made[keyOf(output, question.f.results[i]!)]!]))
      }
    },
  }
}

/** A scalar of a graph's inputs. */
export const integer = (value: number): Buffer => ({ sizes: [], dtype: 'i32', data: Int32Array.of(value) })
export const real = (value: number): Buffer => ({ sizes: [], dtype: 'f32', data: Float32Array.of(value) })
/** What stands for an input that a question does not have. */
const nothing = (type: GraphType): Buffer => (type === 'i32' ? integer(1) : real(0))
