import { trained } from './kept.ts'
import type { Method } from './method.ts'
import { namedWhole, trainedWhole, type NamedWhole } from './whole-leaves.ts'
import { method } from './record.ts'

/**
 * BitFit (Ben Zaken, Goldberg and Ravfogel, ACL 2022): trains the biases of a model and nothing else. Biases are the
 * leaves whose names end with `bias`.
 * @example biases()
 */
export const biases = (): Method<NamedWhole<'bias'>> => namedWhole('biases', 'bias')

export const biasesMethod = method({
  name: 'biases',
  title: 'BitFit',
  trains: 'the biases of the model',
  paper: { by: 'Ben Zaken et al., ACL 2022', url: 'https://arxiv.org/abs/2106.10199' },
  make: ({ targets }) => trainedWhole('biases', targets),
  takes: [],
  rank: undefined,
  reach: 'bias',
  targets: 'all',
  tensors: [{ values: trained('out') }],
  shared: {},
  quantizes: true,
  besides: false,
  change: 'values',
  lora: { none: 'biases are added, and nothing is multiplied by them' },
  peft: undefined,
})
