"""A test mixture with what systems and scores derive from it, each worked out once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from blsh_trainer.features import frame_features
from blsh_trainer.hashing import hash_bits, pack_codes
from blsh_trainer.metrics import BssReference
from blsh_trainer.mixing import Mixture
from blsh_trainer.model_file import Geometry
from blsh_trainer.stft import istft, stft

from blsh_evaluation.artefacts import load_projections

FloatArray = npt.NDArray[np.float32]
CodeArray = npt.NDArray[np.uint32]


class MixtureView:
    """A mixture with all that systems and scores derive from it.

    Args:
        mixture: Speech and noise.
        geometry: Framing.

    Attributes:
        mixture: Speech and noise.
        geometry: Framing.
    """

    def __init__(self, mixture: Mixture, geometry: Geometry) -> None:
        self.mixture = mixture
        self.geometry = geometry
        self._codes: dict[Path, CodeArray] = {}

    @cached_property
    def reference(self) -> BssReference:
        """The mixture, ready for BSS_Eval."""
        return BssReference(self.mixture.speech, self.mixture.noise)

    @cached_property
    def speech_magnitude(self) -> FloatArray:
        """``(F, n_bins)`` of the speech alone."""
        return np.abs(self._stft(self.mixture.speech))

    @cached_property
    def noise_magnitude(self) -> FloatArray:
        """``(F, n_bins)`` of the noise alone."""
        return np.abs(self._stft(self.mixture.noise))

    @cached_property
    def spectra(self) -> npt.NDArray[np.complex64]:
        """``(F, n_bins)`` of the mixture."""
        return self._stft(self.mixture.noisy)

    @cached_property
    def features(self) -> FloatArray:
        """``(F, n_bins)`` L2-normalised magnitudes of the mixture."""
        return np.asarray(frame_features(np.abs(self.spectra), None), np.float32)

    def codes(self, path: Path) -> CodeArray:
        """Packed hash codes of the frames: ``(F, words)``, kept for the next system.

        Args:
            path: File of projections.
        """
        if path not in self._codes:
            projections = load_projections(path)
            bits = hash_bits(self.features, projections.projection, projections.bias)
            self._codes[path] = pack_codes(bits)
        return self._codes[path]

    def masked(self, mask: FloatArray) -> FloatArray:
        """The mixture through a mask of ``(F, n_bins)`` gains: ``(n,)`` float32."""
        geometry = self.geometry
        clean = istft(self.spectra * mask, self.mixture.speech.size, geometry.frame, geometry.hop)
        return np.asarray(clean, np.float32)

    def _stft(self, samples: FloatArray) -> npt.NDArray[np.complex64]:
        spectra = stft(samples, self.geometry.frame, self.geometry.hop)
        return np.asarray(spectra, np.complex64)
