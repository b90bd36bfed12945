"""The projection head of contrastive objectives, as the public code of Patch-Mix and SG-SCL has it."""

from torch import Tensor, nn

from lung_srad.errors import ShapeError, message


class Projector(nn.Sequential):
    """Linear, BatchNorm, ReLU, Linear, at one width (DECISIONS: projector).

    It is called once per branch, on the features of all processes, so that batch statistics are those of one branch
    of the whole batch.
    """

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, features: Tensor) -> Tensor:
        """Returns the projected rows: (B, width) -> (B, width).

        Raises:
            ShapeError: a batch of one in training, which has no variance to divide by.
        """
        if self.training and len(features) < 2:
            allowed = "two or more, as batch norm divides by their deviation"
            remedy = "raise training.batch_size, and leave out a last batch of one"
            raise ShapeError(message("projector", f"a batch of {len(features)} in training", allowed, remedy))
        return super().forward(features)
