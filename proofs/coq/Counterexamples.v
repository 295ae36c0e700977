(* Statement 6: what does not hold, by explicit functions. *)
From Coq Require Import Lra Lia.
From Partensor Require Export Run.

(* a: another batch on the left. The loss of a batch x is f(W, x) = ½‖W − x‖². *)
Lemma distance_gradient n (x : vec n) : is_gradient (fun W => half_square 1 (W ⊖ x)) (fun W => W ⊖ x).
Proof.
  intros W D; pose proof (half_square_gradient n 1 (W ⊖ x) D) as grad; cbv beta in grad.
  replace (1 ⊙ (W ⊖ x)) with (W ⊖ x) in grad by coordinates.
  replace (fun t => half_square 1 (W ⊕ t ⊙ D ⊖ x)) with (fun t => half_square 1 (W ⊖ x ⊕ t ⊙ D)); [exact grad|].
  apply FunctionalExtensionality.functional_extensionality; intro t; f_equal; coordinates.
Qed.

Lemma distance_lipschitz n (x : vec n) : lipschitz (fun W => W ⊖ x) 1.
Proof. intros y z; replace (y ⊖ x ⊖ (z ⊖ x)) with (y ⊖ z) by coordinates. lra. Qed.

(* On the line, from W = 1 and with the batches 0 and then −3: after the step W⁺ = 1 − η is at least 2 away from −3, while the bound is at most ½. *)
Definition point (a : R) : vec 1 := fun _ => a.

Lemma norm_point a : ‖point a‖ ^ 2 = a ^ 2.
Proof. rewrite norm_square; unfold dot, point; simpl; ring. Qed.

Lemma changing_batch_fails :
  let f (x W : vec 1) := half_square 1 (W ⊖ x) in
  let g (x W : vec 1) := W ⊖ x in
  let point (a : R) : vec 1 := fun _ => a in
  let W := point 1 in let x := point 0 in let x' := point (-3) in
  (forall x, is_gradient (f x) (g x) /\ lipschitz (g x) 1) /\
  forall η, 0 < η < 2 / 1 -> ~ f x' (step everything η (g x) W) <= f x W - η * (1 - η * 1 / 2) * ‖everything ⋅ g x W‖ ^ 2.
Proof.
  cbv zeta; split; [intro; split; [apply distance_gradient | apply distance_lipschitz]|].
  intros η range; change (fun _ : Fin.t 1 => 1) with (point 1); change (fun _ : Fin.t 1 => 0) with (point 0);
    change (fun _ : Fin.t 1 => -3) with (point (-3)).
  rewrite project_everything; unfold half_square.
  replace (step everything η (fun W => W ⊖ point 0) (point 1) ⊖ point (-3)) with (point (4 - η)) by (unfold point, everything; coordinates).
  replace (point 1 ⊖ point 0) with (point 1) by (unfold point; coordinates).
  rewrite !norm_point; nra.
Qed.

(* b: f = ½‖W‖² on the plane, from (1, 1), with the second coordinate frozen. *)
Definition first : mask 2 := fun i => match i with Fin.F1 => true | Fin.FS _ => false end.
Definition ones : vec 2 := fun _ => 1.

Lemma half_square_nonneg n L (W : vec n) : 0 <= L -> 0 <= half_square L W.
Proof. intro pos; unfold half_square; pose proof (pow2_ge_0 (‖W‖)); nra. Qed.

Lemma frozen_gradient_stays :
  let f : vec 2 -> R := half_square 1 in
  let g (W : vec 2) := 1 ⊙ W in
  let P : mask 2 := fun i => match i with Fin.F1 => true | Fin.FS _ => false end in
  let W0 : vec 2 := fun _ => 1 in
  is_gradient f g /\ lipschitz g 1 /\
  forall η, 0 < η < 2 / 1 ->
  let W := iterate P η g W0 in
  Un_cv (fun k => ‖P ⋅ g (W k)‖) 0 /\ (forall k, 1 <= ‖g (W k)‖) /\ (forall k, f zero + 1 / 2 <= f (W k)).
Proof.
  cbv zeta; assert (lip : lipschitz (fun W : vec 2 => 1 ⊙ W) 1) by (intros x y; rewrite half_square_lipschitz; lra).
  split; [apply half_square_gradient | split; [exact lip|]]; intros η range; fold first; fold ones.
  assert (far : forall k, 1 <= ‖iterate first η (fun W => 1 ⊙ W) ones k‖).
  { intro k; apply Rle_trans with (2 := coordinate_le_norm 2 _ (Fin.FS Fin.F1)).
    rewrite iterate_slice by reflexivity; unfold ones; rewrite Rabs_R1; lra. }
  split; [|split].
  - apply (vanishing_gradient (half_square 1) (fun W => 1 ⊙ W) first ones η 1 0); try lra.
    + intros W _; apply half_square_gradient.
    + apply lipschitz_slice, lip.
    + intros W _; apply half_square_nonneg; lra.
  - intro k; rewrite norm_scale, Rabs_R1, Rmult_1_l; apply far.
  - intro k; specialize (far k); unfold half_square; rewrite zero_norm; nra.
Qed.

(* Nor a minimum of the slice: f = cos has at 0 the gradient 0 and its greatest value. *)
Definition cosine (W : vec 1) : R := cos (W Fin.F1).
Definition cosine_gradient (W : vec 1) : vec 1 := fun _ => - sin (W Fin.F1).

Lemma cosine_is_gradient : is_gradient cosine cosine_gradient.
Proof.
  intros W D; unfold cosine, cosine_gradient, dot, add, scale; simpl.
  replace (- sin (W Fin.F1) * D Fin.F1 + 0) with (- sin (W Fin.F1 + 0 * D Fin.F1) * (0 + 1 * D Fin.F1)) by (rewrite Rmult_0_l, Rplus_0_r; ring).
  apply (derivable_pt_lim_comp (fun t => W Fin.F1 + t * D Fin.F1) cos); [|apply derivable_pt_lim_cos].
  apply (derivable_pt_lim_plus (fun _ => W Fin.F1)); [apply derivable_pt_lim_const|].
  replace (1 * D Fin.F1) with (1 * D Fin.F1 + 0 * 0) by ring.
  apply (derivable_pt_lim_mult (fun t => t) (fun _ => D Fin.F1)); [apply derivable_pt_lim_id | apply derivable_pt_lim_const].
Qed.

(* sin(a) − sin(b) ≤ |a − b|, since |cos| ≤ 1. *)
Lemma sine_lipschitz a b : sin a - sin b <= Rabs (a - b).
Proof.
  pose proof (growth (fun t => sin (b + t * (a - b))) (fun t => cos (b + t * (a - b)) * (0 + (1 * (a - b) + t * 0))) (Rabs (a - b)) 0) as grows.
  cbv beta in grows; replace (b + 1 * (a - b)) with a in grows by ring; replace (b + 0 * (a - b)) with b in grows by ring.
  enough (sin a <= sin b + Rabs (a - b) + 0 / 2) by lra.
  apply grows; intros t _.
  - apply (derivable_pt_lim_comp (fun t => b + t * (a - b)) sin); [|apply derivable_pt_lim_sin].
    apply (derivable_pt_lim_plus (fun _ => b)); [apply derivable_pt_lim_const|].
    apply (derivable_pt_lim_mult (fun t => t) (fun _ => a - b)); [apply derivable_pt_lim_id | apply derivable_pt_lim_const].
  - pose proof (COS_bound (b + t * (a - b))); unfold Rabs; destruct Rcase_abs; nra.
Qed.

Lemma norm_line (x : vec 1) : ‖x‖ = Rabs (x Fin.F1).
Proof. unfold norm, dot; simpl; rewrite Rplus_0_r, <- sqrt_Rsqr_abs; reflexivity. Qed.

Lemma cosine_lipschitz : lipschitz cosine_gradient 1.
Proof.
  intros x y; rewrite !norm_line, Rmult_1_l; unfold cosine_gradient, subtract.
  pose proof (sine_lipschitz (x Fin.F1) (y Fin.F1)); pose proof (sine_lipschitz (y Fin.F1) (x Fin.F1)) as back.
  rewrite Rabs_minus_sym in back; unfold Rabs at 1; destruct Rcase_abs; lra.
Qed.

Lemma maximum_is_stationary :
  is_gradient cosine cosine_gradient /\ lipschitz cosine_gradient 1 /\
  forall η k, let W := iterate everything η cosine_gradient zero k in
  cosine_gradient W = zero /\ (forall V, -1 <= cosine V <= cosine W) /\ exists V, cosine V < cosine W.
Proof.
  split; [exact cosine_is_gradient | split; [exact cosine_lipschitz|]]; intros η k; cbv zeta.
  assert (null : cosine_gradient zero = zero) by (unfold cosine_gradient, zero; rewrite sin_0; coordinates).
  assert (still : iterate everything η cosine_gradient zero k = zero).
  { induction k as [|k IH]; simpl; [reflexivity|]; rewrite IH; unfold step; rewrite null; coordinates. }
  rewrite still; unfold cosine; change (@zero 1 Fin.F1) with 0; rewrite cos_0.
  split; [exact null | split; [intro; apply COS_bound | exists (point PI)]].
  unfold point; rewrite cos_PI; lra.
Qed.

(* c: above 2/L the step overshoots, by the equality of statement 7. *)
Lemma overshoot n L (P : mask n) η W :
  0 < L -> 2 / L < η -> P ⋅ (L ⊙ W) <> zero -> half_square L W < half_square L (step P η (fun W => L ⊙ W) W).
Proof.
  intros pos large nonzero; rewrite half_square_equality; pose proof (norm_square_positive n _ nonzero).
  assert (0 < 2 / L) by (apply Rdiv_lt_0_compat; lra).
  assert (L * (2 / L) = 2) by (field; lra).
  assert (2 < η * L) by nra.
  assert (0 < η * (η * L / 2 - 1) * ‖P ⋅ (L ⊙ W)‖ ^ 2) by (apply Rmult_lt_0_compat; [apply Rmult_lt_0_compat|]; lra). lra.
Qed.
