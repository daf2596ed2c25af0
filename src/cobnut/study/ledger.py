"""What a tuning was begun with, and the storage that its trials are kept in."""

import hashlib
import json
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
import sqlalchemy
from filelock import FileLock
from optuna.distributions import distribution_to_json
from pydantic import BaseModel, ConfigDict, ValidationError

from cobnut.errors import CobnutError
from cobnut.files import make_folder, write_whole
from cobnut.recipe import Recipe
from cobnut.records import Sample
from cobnut.study.space import Space

NOTE, DATABASE, LOCK = "tuning.json", "tuning.db", "tuning.lock"
_STORAGE_ADVICE = "write it as sqlite:////path/tuning.db or postgresql://user@host/name"
_SQLITE_PATIENCE_SECONDS = 60


class Note(BaseModel):
    """What decides every trial, as text that can be compared, and the ``home`` by which this folder is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: dict[str, object]
    space: dict[str, str]
    images: str
    home: str

    @property
    def study_name(self) -> str:
        """The name of the study in the storage: other recipes, spaces or images are other studies."""
        text = json.dumps([self.recipe, self.space, self.images], sort_keys=True)
        return f"{self.recipe['name']}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Ledger:
    """An open tuning: its folder, its note, Optuna's study of it, and whether workers elsewhere may write to that."""

    out: Path
    note: Note
    study: optuna.Study
    is_shared: bool

    def lock(self, name: str = LOCK, seconds: float = -1) -> FileLock:
        """A lock that the system frees when its holder dies, however it dies; waits for ever unless told otherwise."""
        return FileLock(self.out / name, timeout=seconds)

    def bundle(self, number: int) -> Path:
        """Where the detector of a trial stands."""
        return self.out / "trials" / f"{number:04}.cobnut"


def home_of(out: Path) -> str | None:
    """By what the folder of a tuning is known; ``None`` where there is none to be seen from here."""
    try:
        return Note.model_validate_json((out / NOTE).read_bytes()).home
    except (OSError, ValidationError):
        return None


@contextmanager
def open_ledger(out: Path, recipe: Recipe, space: Space, images: str, storage: str | None) -> Iterator[Ledger]:
    """Begin a tuning in ``out``, or open the one that is there; ``storage`` is a database URL, else SQLite in ``out``.

    Raises :class:`CobnutError` when the folder is something else, when it was begun with another recipe, space or
    other images, or when the storage cannot be opened.
    """
    out = out.absolute()
    _refuse_other_folder(out)
    if storage is not None:
        _check_storage(storage, f"--storage {storage.partition(':')[0]}:…", _STORAGE_ADVICE)
    elif (database_file := out / DATABASE).exists():
        _check_storage(f"sqlite:///{database_file}", str(database_file), "choose another --out")
    make_folder(out)
    wanted = Note(
        recipe=recipe.model_dump(mode="json"),
        space={key: distribution_to_json(each) for key, each in space.distributions.items()},
        images=images,
        home=uuid.uuid4().hex,
    )
    with quiet():
        with FileLock(out / LOCK):
            note = _keep_note(out, wanted)
            database = _open_storage(storage or f"sqlite:///{out / DATABASE}")
            study = optuna.create_study(
                study_name=note.study_name, storage=database, direction="maximize", load_if_exists=True
            )
            if not study.user_attrs:
                study.set_user_attr("recipe", note.recipe)
                study.set_user_attr("space", note.space)
                study.set_user_attr("images", note.images)
            if not study.get_trials(deepcopy=False):
                study.enqueue_trial(space.start)
        try:
            yield Ledger(out, note, study, is_shared=storage is not None)
        finally:
            database.remove_session()
            database.engine.dispose()


def fingerprint(samples: Sequence[Sample], hashes: Mapping[Path, str]) -> str:
    """SHA-256 over the contents and splits of the images that a tuning may look at; renaming files changes nothing."""
    rows = sorted(f"{hashes[sample.path]} {sample.split}" for sample in samples)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's log and its remarks on what it calls experimental away from the user."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _refuse_other_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise CobnutError(f"{out}: a file stands where a folder is needed; choose another --out")
    is_ours = not out.is_dir() or (out / NOTE).exists()
    if not is_ours and any(each.name != LOCK and not each.name.endswith(".part") for each in out.iterdir()):
        raise CobnutError(f"{out}: exists and is not the folder of a tuning; choose another --out")


def _keep_note(out: Path, wanted: Note) -> Note:
    """The note that stands in ``out``, or ``wanted``, which then stands there."""
    path = out / NOTE
    if not path.exists():
        with write_whole(path) as partial:
            partial.write_text(wanted.model_dump_json(indent=1), encoding="utf-8")
        return wanted
    try:
        note = Note.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise CobnutError(f"{path}: is damaged ({str(error).splitlines()[0]}); choose another --out") from None
    faults = {
        "another recipe or other --set": note.recipe != wanted.recipe,
        "another space": note.space != wanted.space,
        "other images": note.images != wanted.images,
    }
    for fault, is_so in faults.items():
        if is_so:
            raise CobnutError(f"{out}: was begun with {fault}; go on as it was begun, or choose another --out")
    return note


def _check_storage(url: str, told: str, advice: str) -> None:
    """Refuse a database that cannot be reached or read, before anything is written."""
    try:
        engine = sqlalchemy.create_engine(url)
        sqlalchemy.inspect(engine).get_table_names()  # SQLite reads nothing when it connects
        engine.dispose()
    except Exception as error:  # SQLAlchemy, its drivers and Optuna share no parent; the URL may hold a password
        reason = " ".join(str(error).split())[:160]
        raise CobnutError(f"{told}: cannot be opened ({reason}); {advice}") from None


def _open_storage(url: str) -> optuna.storages.RDBStorage:
    connection = {"timeout": _SQLITE_PATIENCE_SECONDS} if url.startswith("sqlite") else {}
    return optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": connection})
