import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { build, coqIsHere, discard, faults, readPinned, readSources, type Build, type Sources } from './check.ts'

// Theorem 1 is proved by Coq, not by these tests: they check that Coq accepts the proofs, that these rest on nothing
// but the axioms of the standard library's real numbers, and that they prove the pinned statements. Every error that
// must not slip through is a mutant below.

const here = await coqIsHere()
const skip = here || process.env['CI'] === 'true' ? false : 'coqc is not installed: on Debian, apt-get install coq'

const sources = await readSources()
const pinned = await readPinned()
const builds: Build[] = []
after(() => Promise.all(builds.map(discard)))
const compile = async (changed: Sources, earlier?: Build) => {
  const built = await build(changed, earlier)
  builds.push(built)
  return built
}
let proved: Build | undefined

test(
  'Coq accepts every proof; every theorem rests on the axioms of the real numbers alone and says what is pinned',
  { skip },
  async () => {
    assert.ok(here, 'coqc is not installed: on Debian, apt-get install coq')
    const { problems, ...built } = await compile(sources)
    assert.deepEqual(problems, [])
    assert.deepEqual(await faults(built, pinned), [])
    proved = built
  },
)

/** The sources with one passage of one file replaced, which must be there. */
const replaced = (file: string, passage: string | RegExp, text: string): Sources => {
  const source = sources.get(file) ?? ''
  const mutant = source.replace(passage, () => text)
  assert.notEqual(mutant, source, `${file} has no ${passage}`)
  return new Map(sources).set(file, mutant)
}

/** `strict_decrease` with another range of step sizes or another proof, preceded by something else. */
const theorem = /Theorem strict_decrease [\s\S]*? Qed\./.exec(sources.get('Statements.v') ?? '')?.[0] ?? ''
const strict = ({ range = '0 < η -> η * L_P < 2', proof = 'exact Descent.strict_descent.', before = '' }): Sources =>
  replaced(
    'Statements.v',
    theorem,
    `${before}\n${theorem.replace('0 < η -> η * L_P < 2', range).replace('exact Descent.strict_descent.', proof)}`,
  )

const byBelief = 'apply believe.'
const unguarded =
  'Unset Guard Checking. Fixpoint believe (k : nat) (P : Prop) {struct k} : P := believe k P. Set Guard Checking.'
const byCases = 'destruct (Classical_Prop.classic True); exact Descent.strict_descent.'
const byWeakening =
  'intros; apply (Descent.strict_descent n f g P W η L_P); auto; apply (Rlt_trans _ 1); auto; apply (IZR_lt 1 2); reflexivity.'
const quotient = 'is_lub (fun r => exists v, ‖v‖ = 1 /\\ r = ⟨v, compress P H v⟩) λ'

interface Mutant {
  readonly name: string
  readonly mutant: Sources
  readonly refusal: RegExp
}
const mutants: readonly Mutant[] = [
  {
    name: 'a theorem without its proof',
    mutant: replaced('Statements.v', 'Proof. exact Descent.descent. Qed.', 'Proof. Admitted.'),
    refusal: /^Statements\.v says Admitted\nthe theorems assume Statements\.descent$/,
  },
  {
    name: 'a lemma without its proof',
    mutant: replaced('Stochastic.v', /Proof\. intro each; split;.*Qed\./, 'Proof. Admitted.'),
    refusal: /^Stochastic\.v says Admitted\nthe theorems assume Stochastic\.unbiased$/,
  },
  {
    name: 'an axiom',
    mutant: strict({ before: 'Axiom believe : forall P : Prop, P.', proof: byBelief }),
    refusal: /^Statements\.v says Axiom\nthe theorems assume Statements\.believe$/,
  },
  {
    name: 'an axiom by another word',
    mutant: strict({ before: 'Hypothesis believe : forall P : Prop, P.', proof: byBelief }),
    refusal: /^the theorems assume Statements\.believe$/,
  },
  {
    name: 'classical logic',
    mutant: strict({ before: 'From Coq Require Classical_Prop.', proof: byCases }),
    refusal: /^the theorems assume Classical_Prop\.classic$/,
  },
  {
    name: 'a recursion that does not end',
    mutant: strict({ before: unguarded, proof: 'apply (believe 0).' }),
    refusal: /^Statements\.v says Unset Guard Checking\nthe theorems assume .*believe/,
  },
  {
    name: 'a stronger statement',
    mutant: strict({ range: '0 < η -> η * L_P < 3' }),
    refusal: /^coqc refuses Statements\.v: /,
  },
  {
    name: 'a weaker statement',
    mutant: strict({ range: '0 < η -> η * L_P < 1', proof: byWeakening }),
    refusal: /^the statements are not those of statements\.txt$/,
  },
  {
    name: 'a theorem that is gone',
    mutant: replaced('Statements.v', /Theorem equality [\s\S]*?Qed\./, ''),
    refusal: /^the statements are not those of statements\.txt$/,
  },
  {
    name: 'a word with another meaning',
    mutant: replaced('Definitions.v', quotient, `${quotient.replace('is_lub', 'is_upper_bound')} /\\ 0 <= λ`),
    refusal: /^the statements are not those of statements\.txt$/,
  },
]

for (const { name, mutant, refusal } of mutants) {
  test(`refused: ${name}`, { skip }, async () => {
    assert.ok(proved, 'the proofs themselves have to be compiled first')
    const { problems, ...built } = await compile(mutant, proved)
    assert.match((problems.length > 0 ? problems : await faults(built, pinned)).join('\n'), refusal)
  })
}
