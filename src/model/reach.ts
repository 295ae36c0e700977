import type { Reach } from '../tune/index.ts'
import type { StoredLeaf } from './architecture.ts'

/** Leaves that a method can tune, and the words for them. */
interface Reached {
  readonly has: (leaf: Pick<StoredLeaf, 'kind' | 'layout'>) => boolean
  readonly words: string
}

const isLinear: Reached['has'] = ({ kind }) => kind === 'linear' || kind === 'head'

/** The leaves that each method can tune, of those that a checkpoint has. */
export const reaches: { readonly [R in Reach]: Reached } = {
  every: { has: ({ kind }) => kind !== 'statistic', words: 'weights' },
  linear: { has: isLinear, words: 'linear modules' },
  products: {
    has: leaf => isLinear(leaf) || (leaf.kind === 'convolution' && leaf.layout !== 'depthwise'),
    words: 'linear modules and convolutions over all channels',
  },
  inputs: {
    has: leaf => isLinear(leaf) || leaf.kind === 'convolution',
    words: 'linear modules and convolutions',
  },
  norm: { has: ({ kind }) => kind === 'norm', words: 'weights of norms' },
  bias: { has: ({ kind }) => kind === 'bias', words: 'bias vectors' },
}
