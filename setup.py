"""Install Reprise's package `toolkit` and its command of the same name."""

from setuptools import find_packages, setup

setup(
    name="reprise",
    version="0.1.0",
    description="Numbered-stage recipes for music and audio machine learning",
    license="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=["toolkit", "toolkit.*"]),
    package_data={"toolkit": ["report/*.html", "py.typed"]},
    install_requires=[
        "torch>=2.11",
        "torchaudio>=2.11",
        "numpy",
        "scipy",
        "soundfile>=0.13",
        "pyyaml",
        "jsonargparse[signatures]>=4.49",
        "safetensors",
        "tensorboard",
        "matplotlib",
        "jinja2",
        "tqdm",
    ],
    extras_require={
        "mp4": ["imageio-ffmpeg"],
        "pesq": ["pesq"],
        "slurm": ["submitit"],
        "forest": ["scikit-learn"],
        "teachers": ["hear21passt", "panns-inference"],
        "openl3": ["openl3"],
        "dev": ["pytest", "pytest-xdist", "hypothesis", "ruff", "mypy", "types-PyYAML", "imageio-ffmpeg"],
        "reference": [
            "asteroid",
            "requests",
            "mir_eval",
            "pystoi",
            "pyloudnorm",
            "museval",
            "openunmix",
            "demucs",
            "scikit-learn",
            "librosa",
        ],
    },
    entry_points={"console_scripts": ["toolkit = toolkit.cli:main"]},
)
