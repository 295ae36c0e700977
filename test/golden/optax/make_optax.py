"""Writes trajectories and schedules of optax, in float64.

Usage: make_optax.py OUT.json. Needs optax 0.2.8. The parameters are a tree of a matrix, a vector and a number; the loss
is a quadratic form of all of them. Decays are binary fractions, because float32 moments decay by the float32 nearest to
a decay; the trajectories called default_* have the defaults of optax instead.
"""
import json
import sys

import jax

jax.config.update('jax_enable_x64', True)
import jax.numpy as jnp
import numpy as np
import optax

steps = 30
rng = np.random.default_rng(0)
A = rng.normal(size=(16, 16))
H = A @ A.T / 16 + 0.1 * np.eye(16)
start = rng.normal(size=16)


def tree_of(x):
    return {'w': x[:12].reshape(3, 4), 'b': x[12:15], 's': x[15]}


def flat(t):
    return jnp.concatenate([t['w'].reshape(-1), t['b'], t['s'].reshape(1)])


params0 = tree_of(jnp.array(start))
grad = jax.grad(lambda p: flat(p) @ jnp.array(H) @ flat(p) / 2)
o = optax
b1, b2, d = 0.875, 1 - 2**-10, 0.875
matrix_only = {'w': True, 'b': False, 's': False}
factored = dict(min_dim_size_to_factor=3)
optimizers = {
    'rmsprop': o.rmsprop(0.02, decay=d, eps=1e-6),
    'rmsprop_momentum': o.rmsprop(0.01, decay=d, momentum=0.5),
    'rmsprop_centered': o.rmsprop(0.01, decay=d, eps=1e-3, centered=True),
    'adagrad': o.adagrad(0.1),
    'adagrad_from_zero': o.adagrad(0.1, initial_accumulator_value=0.0, eps=1e-6),
    'adadelta': o.adadelta(1.0, rho=d, eps=1e-4),
    'adadelta_decay': o.adadelta(1.0, rho=d, eps=1e-4, weight_decay=0.01),
    'adafactor': o.adafactor(0.05, **factored),
    'adafactor_whole': o.adafactor(0.05),
    'adafactor_decay': o.adafactor(0.05, decay_rate=0.7, clipping_threshold=0.5, weight_decay_rate=0.01, **factored),
    'factored_rms': o.chain(o.scale_by_factored_rms(**factored), o.scale(-0.01)),
    'adam': o.adam(0.05, b1=b1, b2=b2),
    'adamax': o.adamax(0.02, b1=b1, b2=b2),
    'nadam': o.nadam(0.02, b1=b1, b2=b2),
    'nadamw': o.nadamw(0.02, b1=b1, b2=b2, weight_decay=0.01),
    'radam': o.radam(0.02, b1=b1, b2=b2),
    'radam_late': o.radam(0.02, b1=b1, b2=b2, threshold=10.0),
    'radam_nesterov': o.radam(0.02, b1=b1, b2=0.75, nesterov=True),
    'lamb': o.lamb(0.02, b1=b1, b2=b2, weight_decay=0.01),
    'lars': o.lars(2.0, weight_decay=0.01, momentum=0.5, nesterov=True),
    'trust_ratio': o.chain(o.scale_by_trust_ratio(trust_coefficient=0.01, eps=0.1), o.scale(-1.0)),
    'muon': o.contrib.muon(0.02, beta=d, adam_b1=b1, adam_b2=b2),
    'sign_sgd': o.sign_sgd(0.01),
    'ema': o.chain(o.ema(d), o.sgd(0.05)),
    'ema_biased': o.chain(o.ema(d, debias=False), o.sgd(0.05)),
    'centralize': o.chain(o.centralize(), o.sgd(0.05)),
    'clip_rms': o.chain(o.clip_by_block_rms(0.3), o.sgd(0.1)),
    'parameter_rms': o.chain(o.scale_by_param_block_rms(0.5), o.sgd(0.05)),
    'sam': o.contrib.sam(o.sgd(0.1), o.chain(o.contrib.normalize(), o.sgd(0.05)), sync_period=2),
    'sam_adam': o.contrib.sam(
        o.adamw(0.05, b1=b1, b2=b2, weight_decay=0.1), o.chain(o.contrib.normalize(), o.sgd(0.1)), sync_period=2
    ),
    'partition': o.multi_transform(
        {'slow': o.sgd(0.01), 'fast': o.adam(0.05, b1=b1, b2=b2)}, {'w': 'slow', 'b': 'fast', 's': 'fast'}
    ),
    'by_leaf': o.chain(
        o.sgd(0.1),
        o.multi_transform(
            {'half': o.scale(0.5), 'none': o.set_to_zero(), 'all': o.identity()}, {'w': 'half', 'b': 'none', 's': 'all'}
        ),
    ),
    'default_rmsprop': o.rmsprop(0.002),
    'default_adadelta': o.adadelta(0.1),
    'default_nadam': o.nadam(0.002),
    'default_nadamw': o.nadamw(0.002),
    'default_radam': o.radam(0.002),
    'default_adamax': o.adamax(0.002),
    'default_lamb': o.lamb(0.002),
    'default_lars': o.lars(0.2),
    'default_muon': o.contrib.muon(0.002),
}


def run(transform, gradient=lambda p, t: grad(p)):
    p, s, rows = params0, transform.init(params0), []
    for t in range(steps):
        u, s = transform.update(gradient(p, t), s, p)
        p = o.apply_updates(p, u)
        rows.append(flat(p).tolist())
    return rows


def lookahead():
    transform = o.lookahead(o.adam(0.05, b1=b1, b2=b2), sync_period=5, slow_step_size=0.25)
    p = o.LookaheadParams.init_synced(params0)
    s, rows = transform.init(p), []
    for _ in range(steps):
        u, s = transform.update(grad(p.fast), s, p)
        p = o.apply_updates(p, u)
        rows.append(flat(p.fast).tolist())
    return rows


def average_weights():
    transform = o.sgd(0.1)
    p, mean, s, rows = params0, params0, transform.init(params0), []
    for _ in range(steps):
        u, s = transform.update(grad(p), s, p)
        p = o.apply_updates(p, u)
        mean = o.incremental_update(p, mean, 1 - d)
        rows.append(flat(mean).tolist())
    return rows


def injected():
    """The rate is halved, and the decay is doubled, after every ten steps."""
    transform = o.inject_hyperparams(o.adamw)(learning_rate=0.05, b1=b1, b2=b2, weight_decay=0.1)
    p, s, rows = params0, transform.init(params0), []
    for t in range(steps):
        s.hyperparams['learning_rate'] = jnp.asarray(0.05 / 2 ** (t // 10))
        s.hyperparams['weight_decay'] = jnp.asarray(0.1 * 2 ** (t // 10))
        u, s = transform.update(grad(p), s, p)
        p = o.apply_updates(p, u)
        rows.append(flat(p).tolist())
    return rows


def broken(t, at):
    """1 at most steps, a NaN at others."""
    return np.nan if t in at else 1.0


def multiplied(at):
    return lambda p, t: jax.tree.map(lambda g: g * broken(t, at), grad(p))


failing = [3, 7, 8, 9, 12]
trajectories = {name: run(transform) for name, transform in optimizers.items()}
trajectories['lookahead'] = lookahead()
trajectories['average_weights'] = average_weights()
trajectories['injected'] = injected()
trajectories['apply_if_finite'] = run(o.apply_if_finite(o.adam(0.05, b1=b1, b2=b2), 5), multiplied(failing))
trajectories['zero_nans'] = run(o.chain(o.zero_nans(), o.sgd(0.1, momentum=0.5)), multiplied(failing))

counts = 40
schedules = {
    'constant': o.constant_schedule(0.1),
    'linear_later': o.linear_schedule(0.1, 0.01, 20, 5),
    'polynomial_later': o.polynomial_schedule(0.1, 0.01, 3.0, 20, 5),
    'cosine_power': o.cosine_decay_schedule(0.1, 20, 0.1, 2.0),
    'exponential_later': o.exponential_decay(0.1, 5, 0.8, 4),
    'exponential_stairs': o.exponential_decay(0.1, 5, 0.5, 3, True, 0.01),
    'exponential_rising': o.exponential_decay(0.1, 5, 1.5, 0, False, 0.3),
    'piecewise': o.piecewise_constant_schedule(0.1, {5: 0.5, 10: 0.1}),
    'interpolated_linear': o.piecewise_interpolate_schedule('linear', 0.1, {5: 3.0, 20: 0.1}),
    'interpolated_cosine': o.piecewise_interpolate_schedule('cosine', 0.1, {5: 3.0, 20: 0.1}),
    'one_cycle': o.cosine_onecycle_schedule(30, 0.1),
    'one_cycle_other': o.cosine_onecycle_schedule(30, 0.1, 0.5, 10.0, 100.0),
    'one_cycle_linear': o.linear_onecycle_schedule(30, 0.1),
    'one_cycle_linear_other': o.linear_onecycle_schedule(30, 0.1, 0.2, 0.6, 10.0, 100.0),
    'warmup_constant': o.warmup_constant_schedule(0.01, 0.1, 5),
    'warmup_cosine': o.warmup_cosine_decay_schedule(0.01, 0.1, 5, 30, 0.02, 2.0),
    'warmup_exponential': o.warmup_exponential_decay_schedule(0.01, 0.1, 5, 10, 0.5, 3, True, 0.03),
    'restarts': o.sgdr_schedule(
        [
            dict(init_value=0.0, peak_value=0.1, warmup_steps=2, decay_steps=10, end_value=0.01),
            dict(init_value=0.01, peak_value=0.05, warmup_steps=3, decay_steps=20, end_value=0.0),
        ]
    ),
    'warmup_stable_decay': o.join_schedules(
        [o.linear_schedule(0.0, 0.1, 5), o.constant_schedule(0.1), o.linear_schedule(0.1, 0.01, 10)], [5, 25]
    ),
    'joined': o.join_schedules(
        [o.linear_schedule(0.1, 0.2, 5), o.cosine_decay_schedule(0.2, 10), o.constant_schedule(0.03)], [5, 15]
    ),
}

def rounded(x):
    """Ten digits of every number."""
    if isinstance(x, dict):
        return {k: rounded(v) for k, v in x.items()}
    return [rounded(v) for v in x] if isinstance(x, list) else float(f'{x:.10g}') if isinstance(x, float) else x


result = {
    'H': H.tolist(),
    'start': start.tolist(),
    'failing': failing,
    'trajectories': trajectories,
    'schedules': {n: [float(f(t)) for t in range(counts)] for n, f in schedules.items()},
    'optax': optax.__version__,
}
with open(sys.argv[1], 'w') as out:
    out.write(json.dumps(rounded(result)) + '\n')
