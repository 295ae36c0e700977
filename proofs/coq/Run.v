(* Statement 4: along a run of gradient descent the trained gradient becomes small, since every step pays for it with loss and f is bounded below. *)
From Coq Require Import Lra Lia.
From Partensor Require Export Curvature.

Section Run.
  Context {n : nat} (f : vec n -> R) (g : vec n -> vec n) (P : mask n) (W0 : vec n) (η L f_inf : R).
  Hypothesis gradient : forall W, slice P W0 W -> gradient_at f W (g W).
  Hypothesis smooth : slice_lipschitz P g W0 L.
  Hypothesis bounded : forall W, slice P W0 W -> f_inf <= f W.
  Hypothesis positive : 0 < η.
  Hypothesis small : η * L < 2.

  Let W k := iterate P η g W0 k.
  Let c := η * (1 - η * L / 2).

  Lemma rate_positive : 0 < c.
  Proof. unfold c; apply Rmult_lt_0_compat; lra. Qed.

  Lemma run_descent k : c * ‖P ⋅ g (W k)‖ ^ 2 <= f (W k) - f (W (S k)).
  Proof.
    pose proof (iterate_slice n P η g W0 k) as on; fold (W k) in on.
    enough (f (step P η g (W k)) <= f (W k) - c * ‖P ⋅ g (W k)‖ ^ 2) by (unfold W in *; simpl; lra).
    apply descent.
    - intros u [t [_ ->]]; apply gradient.
      replace (step P η g (W k) ⊖ W k) with (P ⋅ ((- η) ⊙ g (W k))) by coordinates. apply slice_along, on.
    - intros u seg; apply (slice_segment n P g W0 (W k) L η u on smooth seg).
  Qed.

  (* If every gradient of the first N steps were above b, the loss would have fallen by more than Ncb. *)
  Lemma telescope N b : (forall k, (k < N)%nat -> b < ‖P ⋅ g (W k)‖ ^ 2) -> INR N * (c * b) <= f W0 - f (W N).
  Proof.
    pose proof rate_positive; induction N as [|N IH]; intro above; [unfold W; simpl; lra|].
    rewrite S_INR; specialize (IH (fun k lt => above k ltac:(lia))); specialize (above N ltac:(lia)).
    assert (c * b <= c * ‖P ⋅ g (W N)‖ ^ 2) by (apply Rmult_le_compat_l; lra).
    pose proof (run_descent N); lra.
  Qed.

  Lemma some_or_all N (s : nat -> R) b : (exists k, (k < N)%nat /\ s k <= b) \/ (forall k, (k < N)%nat -> b < s k).
  Proof.
    induction N as [|N [(k & lt & le) | all]]; [right; lia | left; exists k; split; [lia | exact le] |].
    destruct (Rle_lt_dec (s N) b) as [le | lt]; [left; exists N; split; [lia | exact le]|].
    right; intros k lek; destruct (Nat.eq_dec k N) as [-> | ne]; [exact lt | apply all; lia].
  Qed.

  Lemma small_gradient N : (0 < N)%nat -> exists k, (k < N)%nat /\ ‖P ⋅ g (W k)‖ ^ 2 <= (f W0 - f_inf) / (INR N * c).
  Proof.
    intro some; pose proof rate_positive; pose proof (lt_0_INR N some).
    set (b := (f W0 - f_inf) / (INR N * c)).
    assert (total : INR N * (c * b) = f W0 - f_inf) by (unfold b; field; split; lra).
    destruct (some_or_all N (fun k => ‖P ⋅ g (W k)‖ ^ 2) b) as [found | above]; [exact found|].
    exfalso; destruct N as [|N]; [lia|].
    pose proof (telescope N b (fun k lt => above k ltac:(lia))); specialize (above N ltac:(lia)).
    pose proof (bounded (W (S N)) (iterate_slice n P η g W0 (S N))); pose proof (run_descent N); rewrite S_INR in total.
    assert (c * b < c * ‖P ⋅ g (W N)‖ ^ 2) by (apply Rmult_lt_compat_l; assumption). fold (W (S N)) in *; lra.
  Qed.

  (* The losses fall and are bounded below, so they converge; what two of them differ by pays for the gradient. *)
  Lemma vanishing_gradient : Un_cv (fun k => ‖P ⋅ g (W k)‖) 0.
  Proof.
    pose proof rate_positive.
    destruct (decreasing_cv (fun k => f (W k))) as [l limit].
    { intro k; pose proof (run_descent k); pose proof (pow2_ge_0 (‖P ⋅ g (W k)‖)); nra. }
    { exists (- f_inf); intros x [k ->]; unfold opp_seq.
      pose proof (bounded (W k) (iterate_slice n P η g W0 k)); lra. }
    intros ε pos; destruct (limit (c * ε ^ 2 / 2)) as [N near]; [assert (0 < ε ^ 2) by nra; nra|].
    exists N; intros k after; pose proof (near k after) as now; pose proof (near (S k) ltac:(lia)) as next; pose proof (run_descent k).
    unfold R_dist in *; apply Rabs_def2 in now; apply Rabs_def2 in next.
    pose proof (norm_nonneg n (P ⋅ g (W k))); rewrite Rminus_0_r, Rabs_pos_eq by assumption.
    apply Rnot_le_lt; intro large.
    assert (c * ε ^ 2 <= c * ‖P ⋅ g (W k)‖ ^ 2) by (apply Rmult_le_compat_l; [lra | nra]). lra.
  Qed.
End Run.
