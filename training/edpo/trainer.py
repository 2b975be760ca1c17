"""E-DPO on TRL's DPO trainer, for models that see."""

from __future__ import annotations

import copy
import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from accelerate.utils import is_peft_model
from datasets import Dataset
from torch import Tensor
from torch.nn.functional import logsigmoid
from trl import DPOConfig, DPOTrainer

from training.edpo.batches import NOT_OF_THE_MODEL, RankedCollator
from training.edpo.method import Choice, Gap, edpo_loss
from training.edpo.reference import cached, revision_of, settings_of, weights_of

LOSSES = ("sigmoid", "bco_pair", "sft")


@dataclass
class EDPOConfig(DPOConfig):
    """TRL's `DPOConfig`, and what E-DPO adds to it.

    Raises:
        ValueError: a value out of its range, or an option of TRL's trainer that has no meaning here.
    """

    eta: float = field(default=0.5, metadata={"help": "Weight of the margin, at least 0; 0 is plain DPO."})
    tau: float = field(
        default=1.0, metadata={"help": "Temperature of the softmax over an answer's score, above 0, in its units."}
    )
    gap: Gap = field(default="self_information", metadata={"help": "How far apart two answers are."})
    pairs: Choice = field(
        default="closest and extremes", metadata={"help": "Which pairs of the ranked answers are learnt from."}
    )
    reference_dir: str = field(
        default="runs/reference",
        metadata={"help": "Folder of the reference policy's log-probabilities, with precompute_ref_log_probs."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.remove_unused_columns = False
        self.max_length = None  # Cutting a prompt would cut image tokens.
        for name, least in (("eta", 0.0), ("tau", 1e-9), ("beta", 1e-9)):
            if not least <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"{name} {getattr(self, name)!r}: expected a number {'of at least' if least == 0 else 'above'} 0"
                )
        for name, allowed in (("gap", get_args(Gap)), ("pairs", get_args(Choice))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} {getattr(self, name)!r}: expected one of {list(allowed)}")
        if unknown := set(self.loss_type) - set(LOSSES):
            raise ValueError(f"loss_type {sorted(unknown)!r}: expected some of {list(LOSSES)}")
        plain = {
            "ld_alpha": None, "f_divergence_type": "reverse_kl", "label_smoothing": 0.0, "use_weighting": False,
            "sync_ref_model": False,
        }  # fmt: skip
        for name, value in plain.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} {getattr(self, name)!r}: not supported by E-DPO, leave it at {value!r}")


class EDPOTrainer(DPOTrainer):
    """TRL's trainer on questions with ranked answers, as `RankedCollator` takes them.

    The loss of a question is the mean over its pairs, that of a step the mean over its questions, however they are dealt to
    processes and micro-batches; the supervised loss, `sft`, is on each question's best answer, a mean over tokens. Images go
    under `photos`, not under the name by which TRL's trainer recognises vision data, for which it would refuse
    `precompute_ref_log_probs`.
    """

    args: EDPOConfig
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: Any,
        ref_model: Any = None,
        args: EDPOConfig | None = None,
        train_dataset: Dataset | None = None,
        eval_dataset: Dataset | None = None,
        processing_class: Any = None,
        peft_config: Any = None,
        callbacks: Any = None,
    ) -> None:
        """As of the base class, for the arguments it shares; without `ref_model`, the reference policy is the model as it comes in.

        Raises:
            ValueError: `precompute_ref_log_probs` with DeepSpeed.
        """
        args = args or EDPOConfig("edpo")
        # DeepSpeed's weights are elsewhere until it trains.
        if args.precompute_ref_log_probs and args.deepspeed_plugin is not None:
            raise ValueError("precompute_ref_log_probs: not supported with DeepSpeed; leave it out")
        if set(args.loss_type) == {"sft"}:
            args.precompute_ref_log_probs = True  # of nothing: no second model is kept
        adapted = peft_config is not None or is_peft_model(model)
        asked_before = args.precompute_ref_log_probs and not is_sharded(args)
        if ref_model is None and not adapted and not asked_before:
            # TRL would load it again, by classes that it knows. What the frozen tower remembers is shared.
            ref_model = copy.deepcopy(model).requires_grad_(False)
        text = model.config.get_text_config()
        context = getattr(text, "max_position_embeddings", None)
        collator = RankedCollator(processing_class, args.pairs, args.gap, args.tau, context)
        super().__init__(
            model=model, ref_model=ref_model, args=args, data_collator=collator, train_dataset=train_dataset,
            eval_dataset=eval_dataset, processing_class=processing_class, peft_config=peft_config, callbacks=callbacks,
        )  # fmt: skip

    @property
    def _held_against_a_reference(self) -> bool:
        return set(self.loss_types) != {"sft"}

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset  # the collator makes texts and pixels

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        if not self._held_against_a_reference:
            return dataset
        if not isinstance(dataset, Dataset):
            raise ValueError("precompute_ref_log_probs: expected questions that are all there, found a stream of them")
        # Sharded weights cannot be read here; the base class has hashed them before they were.
        weights = weights_of(self.model) if is_peft_model(self.model) else self._precompute_model_hash
        key = {"weights": weights, "processor": revision_of(self.processing_class)}
        key |= settings_of(self.model, self.args)
        return cached(self, dataset, key, Path(self.args.reference_dir), batch_size)

    def reference_logps(self, inputs: dict[str, Any]) -> Tensor:
        """Log-probabilities of each row's answer under the reference policy, (R,)."""
        shown = {k: v for k, v in inputs.items() if k not in NOT_OF_THE_MODEL or k == "completion_mask"}
        logps: tuple[Tensor, ...] = self.compute_ref_log_probs(self.ref_model or self.model, shown)
        return torch.cat(logps)  # the base class has cut them into chosen and rejected

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor:
        """Questions, and tokens of their best answers, of a whole step: over all micro-batches and processes, (2,)."""
        counts = torch.stack([torch.zeros(2), *map(_counts, batch_samples)]).sum(0).to(device)
        everywhere: Tensor = self.accelerator.reduce(counts, "sum")
        return everywhere

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The share of these questions in the loss of a step.

        Args:
            model: the policy.
            inputs: a batch of `RankedCollator`.
            return_outputs: not supported.
            num_items_in_batch: as `_get_num_items_in_batch` counts; None: this batch is the whole.
        """
        if return_outputs:
            raise ValueError("compute_metrics: not supported by E-DPO, whose metrics are in the log")
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        shown = {k: v for k, v in inputs.items() if k not in NOT_OF_THE_MODEL}
        outputs = model(**shown, labels=labels, use_cache=False, fused_lm_head=True)
        logps = outputs.log_probs.sum(1)
        if not self._held_against_a_reference:
            ref = logps.detach()
        else:
            ref = inputs["ref_logps"] if "ref_logps" in inputs else self.reference_logps(inputs)
        self._note(inputs, outputs, logps.detach(), self.beta * (logps - ref).detach())
        if num_items_in_batch is None:
            return self._loss(inputs, logps, ref, *_counts(inputs).to(logps.device))
        # Gradients are averaged over the processes, though each holds but its share of the questions.
        return self.accelerator.num_processes * self._loss(inputs, logps, ref, *num_items_in_batch)

    def _loss(self, inputs: dict[str, Any], logps: Tensor, ref: Tensor, questions: Tensor, tokens: Tensor) -> Tensor:
        """The mix of losses of these rows, over so many questions, and tokens of best answers, in all."""
        chosen, rejected, weight = inputs["chosen"], inputs["rejected"], inputs["weight"]
        loss = logps.new_zeros(())
        for kind, share in zip(self.loss_types, self.loss_weights, strict=True):
            if kind == "sigmoid":
                each = edpo_loss(
                    logps[chosen], logps[rejected], ref[chosen], ref[rejected], inputs["delta_h"],
                    beta=self.beta, eta=self.args.eta,
                )  # fmt: skip
                part = (weight * each).sum() / questions
            elif kind == "bco_pair":
                rewards = self.beta * (logps - ref)
                each = -logsigmoid(rewards[chosen]) - logsigmoid(-rewards[rejected])
                part = (weight * each).sum() / questions
            else:
                part = -logps[inputs["best"]].sum() / tokens
            loss = loss + share * part
        return loss

    @torch.no_grad()
    def _note(self, inputs: dict[str, Any], outputs: Any, logps: Tensor, rewards: Tensor) -> None:
        """Add TRL's metrics and E-DPO's to the log; each is a mean over all processes."""
        mask = inputs["completion_mask"][:, 1:]
        chosen, rejected, delta_h = inputs["chosen"], inputs["rejected"], inputs["delta_h"]
        right = (rewards[chosen] > rewards[rejected]).float()
        pairs = torch.ones_like(right)
        of: dict[str, tuple[Tensor, Tensor]] = {
            "entropy": (outputs.entropy * mask, mask),
            "logits/chosen": (outputs.mean_logits[chosen] * mask[chosen], mask[chosen]),
            "logits/rejected": (outputs.mean_logits[rejected] * mask[rejected], mask[rejected]),
            "mean_token_accuracy": (outputs.is_top1[chosen] * mask[chosen], mask[chosen]),
            "rewards/chosen": (rewards[chosen], pairs),
            "rewards/rejected": (rewards[rejected], pairs),
            "rewards/accuracies": (right, pairs),
            "rewards/accuracies_closest": (right * inputs["closest"], inputs["closest"]),
            "rewards/accuracies_extremes": (right * inputs["extremes"], inputs["extremes"]),
            "rewards/margins": (rewards[chosen] - rewards[rejected], pairs),
            "logps/chosen": (logps[chosen], pairs),
            "logps/rejected": (logps[rejected], pairs),
            "delta_h": (delta_h, pairs),
            "margin": (self.args.eta * delta_h, pairs),
        }
        sums = [total.sum().float() for both in of.values() for total in both]
        sums.append(inputs["attention_mask"].sum().float())
        totals = self.accelerator.reduce(torch.stack(sums), "sum").tolist()
        model: Any = self.model
        noted: defaultdict[str, list[float]] = self._metrics["train" if model.training else "eval"]
        for name, total, count in zip(of, totals[0::2], totals[1::2], strict=False):
            # Without a reference policy there are no rewards, and no margin is used.
            if count and (self._held_against_a_reference or not name.startswith(("rewards", "margin"))):
                noted[name].append(total / count)
        if model.training:
            self._total_train_tokens += int(totals[-1])
        noted["num_tokens"] = [self._total_train_tokens]


def is_sharded(run: DPOConfig) -> bool:
    """Whether FSDP is asked for, by the recipe or by accelerate's own configuration."""
    return bool(run.fsdp) or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


def _counts(batch: dict[str, Any]) -> Tensor:
    best = batch["best"]
    return torch.stack([torch.tensor(float(len(best))), batch["completion_mask"][best].sum().float().cpu()])
