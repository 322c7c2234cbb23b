"""Metrics that read the labeled cells of a label matrix alone, and their scorers."""

from ._balanced import masked_balanced_accuracy_score, masked_matthews_corrcoef
from ._classification_report import ClassificationReport, masked_classification_report
from ._decisions import (
    masked_f1_score,
    masked_fbeta_score,
    masked_precision_score,
    masked_recall_score,
)
from ._probabilities import masked_brier_score_loss, masked_log_loss
from ._ranking import masked_average_precision_score, masked_roc_auc_score
from ._report import MaskedReport, masked_report
from ._scorers import (
    MaskedScorer,
    make_masked_scorer,
    masked_average_precision_scorer,
    masked_balanced_accuracy_scorer,
    masked_f1_scorer,
    masked_matthews_corrcoef_scorer,
    masked_precision_scorer,
    masked_recall_scorer,
    masked_roc_auc_scorer,
    neg_masked_brier_score_scorer,
    neg_masked_log_loss_scorer,
)

__all__ = [
    "ClassificationReport",
    "MaskedReport",
    "MaskedScorer",
    "make_masked_scorer",
    "masked_average_precision_score",
    "masked_average_precision_scorer",
    "masked_balanced_accuracy_score",
    "masked_balanced_accuracy_scorer",
    "masked_brier_score_loss",
    "masked_classification_report",
    "masked_f1_score",
    "masked_f1_scorer",
    "masked_fbeta_score",
    "masked_log_loss",
    "masked_matthews_corrcoef",
    "masked_matthews_corrcoef_scorer",
    "masked_precision_score",
    "masked_precision_scorer",
    "masked_recall_score",
    "masked_recall_scorer",
    "masked_report",
    "masked_roc_auc_score",
    "masked_roc_auc_scorer",
    "neg_masked_brier_score_scorer",
    "neg_masked_log_loss_scorer",
]
