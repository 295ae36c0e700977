(* Algebra of Rⁿ: sums, inner products, masks, and the inequality of Cauchy and Schwarz. *)
From Coq Require Import Lra Lia FunctionalExtensionality.
From Partensor Require Export Definitions.

(* Two vectors are equal if their coordinates are. *)
Ltac coordinates :=
  apply functional_extensionality; intro; unfold step, add, subtract, scale, project, zero;
  repeat match goal with |- context [if ?b then _ else _] => destruct b end; try (ring || lra).

Lemma sum_ext n (x y : vec n) : (forall i, x i = y i) -> sum x = sum y.
Proof. intro same; f_equal; apply functional_extensionality, same. Qed.

Lemma sum_add n (x y : vec n) : sum (fun i => x i + y i) = sum x + sum y.
Proof. induction n as [|n IH]; simpl; [lra | rewrite (IH (fun i => x (Fin.FS i)) (fun i => y (Fin.FS i))); lra]. Qed.

Lemma sum_scale n a (x : vec n) : sum (fun i => a * x i) = a * sum x.
Proof. induction n as [|n IH]; simpl; [lra | rewrite (IH (fun i => x (Fin.FS i))); lra]. Qed.

Lemma sum_nonneg n (x : vec n) : (forall i, 0 <= x i) -> 0 <= sum x.
Proof.
  induction n as [|n IH]; simpl; intro pos; [lra|].
  specialize (IH (fun i => x (Fin.FS i)) (fun i => pos _)); specialize (pos Fin.F1); lra.
Qed.

Lemma term_le_sum n (x : vec n) i : (forall i, 0 <= x i) -> x i <= sum x.
Proof.
  induction i as [n|n i IH]; simpl; intro pos.
  - pose proof (sum_nonneg n (fun i => x (Fin.FS i)) (fun i => pos _)); lra.
  - specialize (IH (fun i => x (Fin.FS i)) (fun i => pos _)); simpl in IH; specialize (pos Fin.F1); lra.
Qed.

(* The inner product is symmetric, bilinear and positive. *)
Lemma dot_comm n (x y : vec n) : ⟨x, y⟩ = ⟨y, x⟩.
Proof. apply sum_ext; intro; ring. Qed.

Lemma dot_add n (x y z : vec n) : ⟨x ⊕ y, z⟩ = ⟨x, z⟩ + ⟨y, z⟩.
Proof. unfold dot; rewrite <- sum_add; apply sum_ext; intro; unfold add; ring. Qed.

Lemma dot_scale n a (x y : vec n) : ⟨a ⊙ x, y⟩ = a * ⟨x, y⟩.
Proof. unfold dot; rewrite <- sum_scale; apply sum_ext; intro; unfold scale; ring. Qed.

Lemma subtract_as_add n (x y : vec n) : x ⊖ y = x ⊕ (-1) ⊙ y.
Proof. coordinates. Qed.

Lemma dot_subtract n (x y z : vec n) : ⟨x ⊖ y, z⟩ = ⟨x, z⟩ - ⟨y, z⟩.
Proof. rewrite subtract_as_add, dot_add, dot_scale; ring. Qed.

Lemma dot_add_r n (x y z : vec n) : ⟨x, y ⊕ z⟩ = ⟨x, y⟩ + ⟨x, z⟩.
Proof. rewrite dot_comm, dot_add, (dot_comm n y), (dot_comm n z); ring. Qed.

Lemma dot_scale_r n a (x y : vec n) : ⟨x, a ⊙ y⟩ = a * ⟨x, y⟩.
Proof. rewrite dot_comm, dot_scale, dot_comm; ring. Qed.

Lemma dot_subtract_r n (x y z : vec n) : ⟨x, y ⊖ z⟩ = ⟨x, y⟩ - ⟨x, z⟩.
Proof. rewrite dot_comm, dot_subtract, (dot_comm n y), (dot_comm n z); ring. Qed.

Lemma dot_nonneg n (x : vec n) : 0 <= ⟨x, x⟩.
Proof. apply sum_nonneg; intro; nra. Qed.

Lemma norm_nonneg n (x : vec n) : 0 <= ‖x‖.
Proof. apply sqrt_pos. Qed.

Lemma norm_square n (x : vec n) : ‖x‖ ^ 2 = ⟨x, x⟩.
Proof. unfold norm; rewrite pow2_sqrt; [reflexivity | apply dot_nonneg]. Qed.

Lemma norm_scale n a (x : vec n) : ‖a ⊙ x‖ = Rabs a * ‖x‖.
Proof.
  unfold norm; rewrite dot_scale, dot_scale_r, <- Rmult_assoc, sqrt_mult_alt, <- sqrt_Rsqr_abs; [reflexivity | nra].
Qed.

Lemma norm_subtract_comm n (x y : vec n) : ‖x ⊖ y‖ = ‖y ⊖ x‖.
Proof. replace (x ⊖ y) with ((-1) ⊙ (y ⊖ x)) by coordinates. rewrite norm_scale, Rabs_left; lra. Qed.

Lemma coordinate_le_norm n (x : vec n) i : Rabs (x i) <= ‖x‖.
Proof.
  unfold norm; rewrite <- sqrt_Rsqr_abs; apply sqrt_le_1_alt, (term_le_sum n (fun i => x i * x i)); intro; nra.
Qed.

Lemma norm_zero n (x : vec n) : ‖x‖ = 0 -> x = zero.
Proof.
  intro null; apply functional_extensionality; intro i; unfold zero.
  pose proof (coordinate_le_norm n x i); revert H; unfold Rabs; destruct Rcase_abs; lra.
Qed.

Lemma zero_norm n : ‖@zero n‖ = 0.
Proof. replace (@zero n) with (0 ⊙ @zero n) by coordinates. rewrite norm_scale, Rabs_R0; ring. Qed.

(* ⟨x, y⟩ ≤ ‖x‖‖y‖, since 0 ≤ ‖x − ty‖² = ‖x‖² − 2t⟨x, y⟩ + t²‖y‖² for every t. *)
Lemma cauchy_schwarz n (x y : vec n) : ⟨x, y⟩ <= ‖x‖ * ‖y‖.
Proof.
  assert (square : forall t, 0 <= ‖x‖ ^ 2 - 2 * t * ⟨x, y⟩ + t ^ 2 * ‖y‖ ^ 2).
  { intro t; pose proof (dot_nonneg n (x ⊖ t ⊙ y)) as pos.
    rewrite dot_subtract, !dot_subtract_r, !dot_scale, !dot_scale_r, (dot_comm n y x) in pos; rewrite !norm_square; lra. }
  destruct (Req_dec (‖x‖) 0) as [x0 | x1].
  { apply norm_zero in x0; subst. pose proof (dot_scale n 0 zero y) as null.
    replace (0 ⊙ @zero n) with (@zero n) in null by coordinates.
    rewrite null; pose proof (norm_nonneg n y); pose proof (norm_nonneg n zero); nra. }
  destruct (Req_dec (‖y‖) 0) as [y0 | y1].
  { apply norm_zero in y0; subst. pose proof (dot_scale_r n 0 x zero) as null.
    replace (0 ⊙ @zero n) with (@zero n) in null by coordinates.
    rewrite null; pose proof (norm_nonneg n x); pose proof (norm_nonneg n zero); nra. }
  pose proof (norm_nonneg n x); pose proof (norm_nonneg n y).
  specialize (square (‖x‖ / ‖y‖)).
  replace (‖x‖ ^ 2 - 2 * (‖x‖ / ‖y‖) * ⟨x, y⟩ + (‖x‖ / ‖y‖) ^ 2 * ‖y‖ ^ 2) with (2 * (‖x‖ / ‖y‖) * (‖x‖ * ‖y‖ - ⟨x, y⟩)) in square
    by (field; assumption).
  assert (0 < ‖x‖ / ‖y‖) by (apply Rdiv_lt_0_compat; lra). nra.
Qed.

(* A bound on every inner product bounds the norm: take y = x. *)
Lemma norm_le_by_dot n (x : vec n) b : 0 <= b -> ⟨x, x⟩ <= b * ‖x‖ -> ‖x‖ <= b.
Proof. rewrite <- norm_square; pose proof (norm_nonneg n x); nra. Qed.

(* P is linear, idempotent and symmetric, and it shortens. *)
Lemma project_subtract n (P : mask n) x y : P ⋅ (x ⊖ y) = P ⋅ x ⊖ P ⋅ y.
Proof. coordinates. Qed.

Lemma project_scale n (P : mask n) a x : P ⋅ (a ⊙ x) = a ⊙ (P ⋅ x).
Proof. coordinates. Qed.

Lemma project_twice n (P : mask n) x : P ⋅ (P ⋅ x) = P ⋅ x.
Proof. apply functional_extensionality; intro i; unfold project; destruct (P i); reflexivity. Qed.

Lemma project_everything n (x : vec n) : everything ⋅ x = x.
Proof. reflexivity. Qed.

Lemma project_symmetric n (P : mask n) x y : ⟨P ⋅ x, y⟩ = ⟨x, P ⋅ y⟩.
Proof. apply sum_ext; intro i; unfold project; destruct (P i); ring. Qed.

Lemma norm_project n (P : mask n) x : ‖P ⋅ x‖ <= ‖x‖.
Proof.
  apply norm_le_by_dot; [apply norm_nonneg|].
  rewrite project_symmetric, project_twice, (Rmult_comm (‖x‖)), dot_comm; apply cauchy_schwarz.
Qed.

(* ‖x − y‖² = ‖x‖² − 2⟨x, y⟩ + ‖y‖². *)
Lemma norm_subtract_square n (x y : vec n) : ‖x ⊖ y‖ ^ 2 = ‖x‖ ^ 2 - 2 * ⟨x, y⟩ + ‖y‖ ^ 2.
Proof. rewrite !norm_square, dot_subtract, !dot_subtract_r, (dot_comm n y x); ring. Qed.

(* Sums over coordinates of derivatives: if t ↦ y(t)ᵢ has the derivative dᵢ, then t ↦ ⟨y(t), w⟩ has the derivative ⟨d, w⟩. *)
Lemma derivable_dot n (y : R -> vec n) (d w : vec n) t :
  (forall i, derivable_pt_lim (fun t => y t i) t (d i)) -> derivable_pt_lim (fun t => ⟨y t, w⟩) t ⟨d, w⟩.
Proof.
  unfold dot; induction n as [|n IH]; simpl; intro each; [apply derivable_pt_lim_const|].
  apply (derivable_pt_lim_plus (fun t => y t Fin.F1 * w Fin.F1)).
  - replace (d Fin.F1 * w Fin.F1) with (d Fin.F1 * w Fin.F1 + y t Fin.F1 * 0) by ring.
    apply (derivable_pt_lim_mult (fun t => y t Fin.F1) (fun _ => w Fin.F1)); [apply each | apply derivable_pt_lim_const].
  - apply (IH (fun t i => y t (Fin.FS i)) (fun i => d (Fin.FS i)) (fun i => w (Fin.FS i))); intro; apply each.
Qed.
