(* A function whose derivative is never positive does not increase. (The standard library's mean value theorem says so too, but it assumes the
   excluded middle for every proposition; the completeness of R is enough.) *)
From Coq Require Import Lra.
From Partensor Require Export Vector.

(* If f' ≤ 0 on [0, 1], then f(1) ≤ f(0) + ε for every ε > 0: the last point x of [0, 1] with f(x) ≤ f(0) + εx is 1. *)
Lemma nearly_decreasing f f' ε :
  (forall t, 0 <= t <= 1 -> derivable_pt_lim f t (f' t)) -> (forall t, 0 <= t <= 1 -> f' t <= 0) -> 0 < ε -> f 1 <= f 0 + ε.
Proof.
  intros der neg pos.
  destruct (completeness (fun x => 0 <= x <= 1 /\ f x <= f 0 + ε * x)) as [s [upper least]].
  { exists 1; intros x [range _]; lra. }
  { exists 0; lra. }
  assert (0 <= s) by (apply upper; lra).
  assert (s <= 1) by (apply least; intros x [range _]; lra).
  specialize (der s ltac:(lra)); specialize (neg s ltac:(lra)).
  destruct (der ε pos) as [δ near]; pose proof (cond_pos δ) as wide.
  (* s itself is such a point: else f is above the line on a whole interval before s, and a smaller bound would do *)
  assert (reached : f s <= f 0 + ε * s).
  { apply Rnot_lt_le; intro above.
    set (γ := f s - f 0 - ε * s); set (K := 1 + ε - f' s); assert (0 < γ) by (unfold γ; lra); assert (0 < K) by (unfold K; lra).
    set (δ' := Rmin (δ / 2) (γ / K)).
    assert (0 < δ') by (apply Rmin_glb_lt; [lra | apply Rdiv_lt_0_compat; assumption]).
    assert (δ' <= δ / 2) by apply Rmin_l.
    assert (small : K * δ' <= γ).
    { apply Rle_trans with (K * (γ / K)); [apply Rmult_le_compat_l; [lra | apply Rmin_r] | right; field; lra]. }
    assert (s <= s - δ'); [|lra].
    apply least; intros x [range below]; apply Rnot_lt_le; intro close.
    assert (x <= s) by (apply upper; split; assumption).
    assert (x <> s) by (intro; subst; lra).
    specialize (near (x - s) ltac:(lra) ltac:(rewrite Rabs_left; lra)); replace (s + (x - s)) with x in near by ring.
    apply Rabs_def2 in near; destruct near as [near _].
    assert ((f x - f s) / (x - s) * (x - s) = f x - f s) by (field; lra).
    unfold γ, K in *; nra. }
  (* and it is 1: else the derivative, which is below ε, carries the inequality further *)
  destruct (Rle_lt_dec 1 s) as [last | before]; [replace s with 1 in reached by lra; lra|].
  set (h := Rmin (δ / 2) (1 - s)).
  assert (0 < h) by (apply Rmin_glb_lt; lra); assert (h <= δ / 2) by apply Rmin_l; assert (h <= 1 - s) by apply Rmin_r.
  specialize (near h ltac:(lra) ltac:(rewrite Rabs_right; lra)); apply Rabs_def2 in near; destruct near as [near _].
  assert ((f (s + h) - f s) / h * h = f (s + h) - f s) by (field; lra).
  assert (s + h <= s); [|lra]. apply upper; split; [lra | nra].
Qed.

Lemma decreasing f f' :
  (forall t, 0 <= t <= 1 -> derivable_pt_lim f t (f' t)) -> (forall t, 0 <= t <= 1 -> f' t <= 0) -> f 1 <= f 0.
Proof.
  intros der neg; apply Rnot_lt_le; intro above.
  pose proof (nearly_decreasing f f' ((f 1 - f 0) / 2) der neg); lra.
Qed.

(* Compared with a quadratic: if f'(t) ≤ a + bt on [0, 1], then f(1) ≤ f(0) + a + b/2. *)
Lemma growth f f' a b :
  (forall t, 0 <= t <= 1 -> derivable_pt_lim f t (f' t)) -> (forall t, 0 <= t <= 1 -> f' t <= a + b * t) -> f 1 <= f 0 + a + b / 2.
Proof.
  intros der below.
  enough (f 1 - (a * 1 + b / 2 * (1 * 1)) <= f 0 - (a * 0 + b / 2 * (0 * 0))) by lra.
  apply (decreasing (fun t => f t - (a * t + b / 2 * (t * t))) (fun t => f' t - (a + b * t))).
  - intros t range; apply (derivable_pt_lim_minus f (fun t => a * t + b / 2 * (t * t))); [apply der, range|].
    replace (a + b * t) with (a * 1 + b / 2 * (1 * t + t * 1)) by field.
    apply (derivable_pt_lim_plus (fun t => a * t) (fun t => b / 2 * (t * t))).
    + apply (derivable_pt_lim_scal (fun t => t)), derivable_pt_lim_id.
    + apply (derivable_pt_lim_scal (fun t => t * t)), (derivable_pt_lim_mult (fun t => t) (fun t => t)); apply derivable_pt_lim_id.
  - intros t range; specialize (below t range); lra.
Qed.

(* A derivative at 0 is bounded by the slope of a line through f(0) that f stays under: f(t) − f(0) ≤ bt for t > 0. *)
Lemma derivative_le_slope f d b : derivable_pt_lim f 0 d -> (forall t, 0 < t -> f t - f 0 <= b * t) -> d <= b.
Proof.
  intros der under; apply Rnot_lt_le; intro steep.
  destruct (der ((d - b) / 2) ltac:(lra)) as [δ near]; pose proof (cond_pos δ).
  specialize (near (δ / 2) ltac:(lra) ltac:(rewrite Rabs_right; lra)); specialize (under (δ / 2) ltac:(lra)).
  rewrite Rplus_0_l in near; apply Rabs_def2 in near; destruct near as [_ near].
  assert ((f (δ / 2) - f 0) / (δ / 2) * (δ / 2) = f (δ / 2) - f 0) by (field; lra). nra.
Qed.

(* If s ↦ f(W + tD + sD) has at s = 0 the derivative d, then t ↦ f(W + tD) has at t the derivative d. *)
Lemma derivable_shift n (f : vec n -> R) W D t d :
  derivable_pt_lim (fun s => f (W ⊕ t ⊙ D ⊕ s ⊙ D)) 0 d -> derivable_pt_lim (fun t => f (W ⊕ t ⊙ D)) t d.
Proof.
  intros der ε pos; destruct (der ε pos) as [δ near]; exists δ; intros h nonzero small; specialize (near h nonzero small).
  replace (W ⊕ t ⊙ D ⊕ (0 + h) ⊙ D) with (W ⊕ (t + h) ⊙ D) in near by coordinates.
  replace (W ⊕ t ⊙ D ⊕ 0 ⊙ D) with (W ⊕ t ⊙ D) in near by coordinates. exact near.
Qed.
