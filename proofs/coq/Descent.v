(* The descent lemma, derived from the Lipschitz gradient along the segment of the step, and what follows from it for one step. *)
From Coq Require Import Lra.
From Partensor Require Export Calculus.

(* Along a direction u that stays inside the mask (Pu = u). If ⟨∇f(W + tu) − ∇f(W), u⟩ ≤ Lt‖u‖² for t in [0, 1], then
   f(W + u) ≤ f(W) + ⟨∇f(W), u⟩ + L/2 ‖u‖²:
   the derivative of t ↦ f(W + tu) is ⟨∇f(W + tu), u⟩ ≤ ⟨∇f(W), u⟩ + Lt‖u‖². *)
Lemma quadratic_bound n (f : vec n -> R) g W u L :
  (forall t, 0 <= t <= 1 -> gradient_at f (W ⊕ t ⊙ u) (g (W ⊕ t ⊙ u))) ->
  (forall t, 0 <= t <= 1 -> ⟨g (W ⊕ t ⊙ u), u⟩ <= ⟨g W, u⟩ + L * ‖u‖ ^ 2 * t) ->
  f (W ⊕ u) <= f W + ⟨g W, u⟩ + L / 2 * ‖u‖ ^ 2.
Proof.
  intros grad below.
  pose proof (growth (fun t => f (W ⊕ t ⊙ u)) (fun t => ⟨g (W ⊕ t ⊙ u), u⟩) ⟨g W, u⟩ (L * ‖u‖ ^ 2)) as bound; simpl in bound.
  replace (W ⊕ 1 ⊙ u) with (W ⊕ u) in bound by coordinates; replace (W ⊕ 0 ⊙ u) with W in bound by coordinates.
  enough (f (W ⊕ u) <= f W + ⟨g W, u⟩ + L * (‖u‖ * (‖u‖ * 1)) / 2) by lra.
  apply bound; [intros t range; apply derivable_shift, (grad t range) | exact below].
Qed.

(* The Lipschitz hypothesis gives that, by Cauchy and Schwarz. *)
Lemma lipschitz_quadratic_bound n (f : vec n -> R) g (P : mask n) W u L :
  P ⋅ u = u ->
  (forall v, on_segment u v -> gradient_at f (W ⊕ v) (g (W ⊕ v))) ->
  (forall v, on_segment u v -> ‖P ⋅ g (W ⊕ v) ⊖ P ⋅ g W‖ <= L * ‖v‖) ->
  f (W ⊕ u) <= f W + ⟨g W, u⟩ + L / 2 * ‖u‖ ^ 2.
Proof.
  intros inside grad lip; apply quadratic_bound; [intros; apply grad; exists t; auto|].
  intros t range; specialize (lip (t ⊙ u) ltac:(exists t; auto)).
  rewrite norm_scale, Rabs_pos_eq in lip by lra.
  pose proof (cauchy_schwarz n (P ⋅ g (W ⊕ t ⊙ u) ⊖ P ⋅ g W) u) as cs.
  rewrite dot_subtract, !project_symmetric, inside in cs.
  pose proof (norm_nonneg n u); nra.
Qed.

(* The step is W⁺ = W + u with u = −ηP∇f(W), for which ⟨∇f, u⟩ = −η‖P∇f‖² and ‖u‖² = η²‖P∇f‖². *)
Definition update {n} (P : mask n) (η : R) (g : vec n -> vec n) (W : vec n) : vec n := (- η) ⊙ (P ⋅ g W).

Lemma step_update n (P : mask n) η g W : step P η g W = W ⊕ update P η g W.
Proof. unfold update; coordinates. Qed.

Lemma update_step n (P : mask n) η g W : step P η g W ⊖ W = update P η g W.
Proof. unfold update; coordinates. Qed.

Lemma update_inside n (P : mask n) η g W : P ⋅ update P η g W = update P η g W.
Proof. unfold update; rewrite project_scale, project_twice; reflexivity. Qed.

Lemma dot_update n (P : mask n) η g W : ⟨g W, update P η g W⟩ = - η * ‖P ⋅ g W‖ ^ 2.
Proof. unfold update; rewrite dot_scale_r, norm_square, project_symmetric, project_twice; reflexivity. Qed.

Lemma norm_update n (P : mask n) η g W : ‖update P η g W‖ ^ 2 = η ^ 2 * ‖P ⋅ g W‖ ^ 2.
Proof. unfold update; rewrite !norm_square, dot_scale, dot_scale_r; ring. Qed.

(* Statement 1. *)
Lemma descent n (f : vec n -> R) g (P : mask n) W η L :
  (forall u, on_segment (step P η g W ⊖ W) u -> gradient_at f (W ⊕ u) (g (W ⊕ u))) ->
  (forall u, on_segment (step P η g W ⊖ W) u -> ‖P ⋅ g (W ⊕ u) ⊖ P ⋅ g W‖ <= L * ‖u‖) ->
  f (step P η g W) <= f W - η * (1 - η * L / 2) * ‖P ⋅ g W‖ ^ 2.
Proof.
  rewrite update_step, step_update; intros grad lip.
  pose proof (lipschitz_quadratic_bound n f g P W _ L (update_inside n P η g W) grad lip) as bound.
  rewrite dot_update, norm_update in bound; lra.
Qed.

(* Statement 3. *)
Lemma progress_positive η L s : 0 < η -> η * L < 2 -> 0 < s -> 0 < η * (1 - η * L / 2) * s.
Proof. intros; apply Rmult_lt_0_compat; [apply Rmult_lt_0_compat|]; lra. Qed.

Lemma norm_square_positive n (x : vec n) : x <> zero -> 0 < ‖x‖ ^ 2.
Proof.
  intro nonzero; apply pow_lt; destruct (norm_nonneg n x) as [pos | null]; [exact pos|].
  exfalso; apply nonzero, norm_zero; congruence.
Qed.

Lemma strict_descent n (f : vec n -> R) g (P : mask n) W η L :
  (forall u, on_segment (step P η g W ⊖ W) u -> gradient_at f (W ⊕ u) (g (W ⊕ u))) ->
  (forall u, on_segment (step P η g W ⊖ W) u -> ‖P ⋅ g (W ⊕ u) ⊖ P ⋅ g W‖ <= L * ‖u‖) ->
  0 < η -> η * L < 2 -> P ⋅ g W <> zero -> f (step P η g W) < f W.
Proof.
  intros grad lip pos small nonzero.
  pose proof (descent n f g P W η L grad lip).
  pose proof (progress_positive η L _ pos small (norm_square_positive n _ nonzero)); lra.
Qed.

(* Statement 7: f = L/2 ‖W‖² has the gradient LW, and the step multiplies the trained coordinates by 1 − ηL. *)
Lemma half_square_gradient n L : is_gradient (@half_square n L) (fun W => L ⊙ W).
Proof.
  intros W D.
  replace (fun t => half_square L (W ⊕ t ⊙ D)) with (fun t => L / 2 * (‖W‖ ^ 2 + (2 * ⟨W, D⟩ * t + ‖D‖ ^ 2 * (t * t)))).
  2: { apply FunctionalExtensionality.functional_extensionality; intro t; unfold half_square.
       rewrite !norm_square, dot_add, !dot_add_r, !dot_scale, !dot_scale_r, (dot_comm n D W); ring. }
  rewrite dot_scale; replace (L * ⟨W, D⟩) with (L / 2 * (0 + (2 * ⟨W, D⟩ * 1 + ‖D‖ ^ 2 * (1 * 0 + 0 * 1)))) by field.
  apply (derivable_pt_lim_scal (fun t => ‖W‖ ^ 2 + (2 * ⟨W, D⟩ * t + ‖D‖ ^ 2 * (t * t)))).
  apply (derivable_pt_lim_plus (fun _ => ‖W‖ ^ 2)); [apply derivable_pt_lim_const|].
  apply (derivable_pt_lim_plus (fun t => 2 * ⟨W, D⟩ * t)).
  - apply (derivable_pt_lim_scal (fun t => t)), derivable_pt_lim_id.
  - apply (derivable_pt_lim_scal (fun t => t * t)), (derivable_pt_lim_mult (fun t => t) (fun t => t)); apply derivable_pt_lim_id.
Qed.

Lemma half_square_lipschitz n L (x y : vec n) : 0 <= L -> ‖L ⊙ x ⊖ L ⊙ y‖ = L * ‖x ⊖ y‖.
Proof.
  intro pos; replace (L ⊙ x ⊖ L ⊙ y) with (L ⊙ (x ⊖ y)) by coordinates.
  rewrite norm_scale, Rabs_pos_eq; [reflexivity | exact pos].
Qed.

Lemma half_square_equality n L (P : mask n) η W :
  half_square L (step P η (fun W => L ⊙ W) W) = half_square L W - η * (1 - η * L / 2) * ‖P ⋅ (L ⊙ W)‖ ^ 2.
Proof.
  rewrite step_update; unfold half_square.
  pose proof (norm_update n P η (fun W => L ⊙ W) W) as square; pose proof (dot_update n P η (fun W => L ⊙ W) W) as inner.
  rewrite norm_square in square; cbv beta in *; rewrite dot_scale in inner.
  rewrite (norm_square n (W ⊕ _)), dot_add, !dot_add_r, (dot_comm n (update _ _ _ _) W), <- norm_square; rewrite square.
  replace (L / 2 * (‖W‖ ^ 2 + ⟨W, update P η (fun W => L ⊙ W) W⟩ + (⟨W, update P η (fun W => L ⊙ W) W⟩ + η ^ 2 * ‖P ⋅ (L ⊙ W)‖ ^ 2)))
    with (L / 2 * ‖W‖ ^ 2 + L * ⟨W, update P η (fun W => L ⊙ W) W⟩ + L / 2 * (η ^ 2 * ‖P ⋅ (L ⊙ W)‖ ^ 2)) by field.
  rewrite inner; field.
Qed.

Lemma equality n L : 0 <= L ->
  let f : vec n -> R := half_square L in
  let g (W : vec n) := L ⊙ W in
  is_gradient f g /\ (forall x y, ‖g x ⊖ g y‖ = L * ‖x ⊖ y‖) /\
  forall (P : mask n) η W, f (step P η g W) = f W - η * (1 - η * L / 2) * ‖P ⋅ g W‖ ^ 2.
Proof.
  split; [apply half_square_gradient | split; [intros; apply half_square_lipschitz; assumption | intros; apply half_square_equality]].
Qed.

Lemma step_slice n (P : mask n) η g W : slice P W (step P η g W).
Proof. intros i frozen; unfold step, subtract, scale, project; rewrite frozen; ring. Qed.

Lemma iterate_slice n (P : mask n) η g W k : slice P W (iterate P η g W k).
Proof. induction k as [|k IH]; intros i frozen; simpl; [reflexivity | rewrite step_slice; auto]. Qed.
