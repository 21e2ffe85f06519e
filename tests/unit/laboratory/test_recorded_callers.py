"""Reading recorded callers: audio files, manifests, prompts that leak."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pbx.laboratory.audio import AudioError, read_samples, through_g711, wav_bytes
from pbx.laboratory.clips import candidates, likeness, open_clip, read_clip
from pbx.laboratory.corpus import CorpusError, Label, read_corpus
from tests.unit.laboratory import clips_made_here as made


@pytest.mark.parametrize(
    ("name", "subtype", "error"),
    [
        ("call.wav", "PCM_16", 0),
        ("call.flac", "PCM_16", 0),
        ("call.wav", "ALAW", 600),
        ("call.wav", "ULAW", 600),
        ("call.wav", "PCM_U8", 300),
        ("call.wav", "PCM_24", 0),
        ("call.wav", "PCM_32", 0),
        ("call.wav", "FLOAT", 0),
        ("call.wav", "DOUBLE", 0),
    ],
)
def test_telephone_files_of_every_kind_are_read(
    tmp_path: Path, name: str, subtype: str, error: int
) -> None:
    sent = made.called()
    is_float = subtype in ("FLOAT", "DOUBLE")
    made.save(tmp_path / name, sent / 32768 if is_float else sent, subtype=subtype)
    read = read_samples(tmp_path / name)
    assert read.dtype == np.int16
    assert np.abs(read.astype(int) - sent).max() <= error


def test_g711_is_what_everybody_calls_a_law() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, every, 8000, format="WAV", subtype="ALAW")
    file.seek(0)
    theirs, _ = soundfile.read(file, dtype="int16")
    ours = through_g711(every)
    assert np.unique(ours).size == 256
    assert set(np.unique(theirs)) <= set(np.unique(ours))
    assert np.mean(ours == theirs) > 0.99  # the rest lie on a step's very edge
    assert np.array_equal(through_g711(ours), ours)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no such file"),
        (b"not audio at all", "call.wav: Format not recognised"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "call.wav: "),
        (b"", "call.wav: "),
    ],
)
def test_what_is_no_audio_is_named(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    path = tmp_path / "call.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError) as caught:
        read_samples(path)
    assert told in str(caught.value)
    assert "WAV" in str(caught.value)


def test_a_float_file_goes_no_further_than_full_scale(tmp_path: Path) -> None:
    """libsndfile made silence of a voice in a float file: somebody released."""
    path = tmp_path / "loud.wav"
    wave = np.array([0.0, 0.5, -0.5, 4.0, -4.0], np.float32)
    soundfile.write(path, wave, 8000, subtype="FLOAT")
    assert read_samples(path).tolist() == [0, 16384, -16384, 32767, -32768]
    soundfile.write(path, wave * np.float32(8000), 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"loud\.wav: samples up to 32000, where 1"):
        read_samples(path)
    soundfile.write(path, wave * np.float32(np.nan), 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"loud\.wav: samples that are no numbers"):
        read_samples(path)


def test_half_a_copy_is_not_judged_as_a_whole_call(tmp_path: Path) -> None:
    for subtype in ("PCM_16", "ALAW", "FLOAT"):
        path = tmp_path / f"{subtype}.wav"
        made.save(path, made.called() / 32768, subtype=subtype)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(AudioError, match=r"wav: cut off, \d+ of \d+ bytes"):
            read_samples(path)
    path = tmp_path / "piped.wav"
    made.save(path, made.called(), subtype="PCM_16")
    whole, no_length = path.read_bytes(), b"\xff\xff\xff\xff"
    path.write_bytes(whole[:4] + no_length + whole[8:40] + no_length + whole[44:])
    assert np.array_equal(read_samples(path), made.called())
    path = tmp_path / "half.flac"
    made.save(path, made.called(), subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(AudioError, match=r"half\.flac: "):
        read_samples(path)


def test_bare_samples_and_names_no_disk_takes_are_one_clip_s_fault(
    tmp_path: Path,
) -> None:
    bare = tmp_path / "clip.raw"
    bare.write_bytes(made.called().tobytes())
    with pytest.raises(AudioError, match="no header says of which kind"):
        read_samples(bare)
    with pytest.raises(AudioError, match="File name too long; name a file"):
        read_samples(tmp_path / f"{'a' * 300}.wav")


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (8000, 2)])
def test_what_was_never_on_a_line_is_refused_with_the_cure(
    tmp_path: Path, rate: int, channels: int
) -> None:
    path = tmp_path / "studio.wav"
    soundfile.write(path, np.zeros((100, channels), np.int16), rate)
    with pytest.raises(AudioError, match=r"sox /\S+/studio\.wav -r 8000 -c 1"):
        read_samples(path)


def test_browsers_get_plain_pcm() -> None:
    with wave.open(io.BytesIO(wav_bytes(made.hiss(0.1)))) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (
            8000,
            2,
            1,
        )
        assert file.getnframes() == 800


def test_a_manifest_is_read_whole(tmp_path: Path) -> None:
    corpus = read_corpus(made.corpus(tmp_path))
    first = corpus.rows[1]
    assert (first.line, first.label, first.kind) == (3, Label.SPEECH, "utterance")
    assert (first.group, first.snr_db, first.speech_start) == ("budi", 5.0, 0.5)
    assert corpus.rows[0].snr_db is None
    assert corpus.file(first) == tmp_path / "a/mulaw.wav"


def test_only_three_columns_are_needed_and_a_column_may_come_twice(
    tmp_path: Path,
) -> None:
    manifest = made.write_manifest(
        tmp_path,
        [("a.wav", "ghost", "", "no", "no"), (), ("b.wav", "speech", "x", "no", "yes")],
        header=("path", "label", "class", "open", "open"),
    )
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes())  # as Excel saves it
    rows = read_corpus(tmp_path).rows
    assert [row.group for row in rows] == ["a.wav", "b.wav"]
    assert rows[0].kind == "unknown"
    assert [row.is_open for row in rows] == [False, True]


def row(path: str = "a.wav", label: str = "speech", snr: str = "") -> list[str]:
    return [path, label, "x", "g", snr, "", "", ""]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([row(label="person")], ":2: label 'person' is none; write one of speech"),
        ([row(snr="loud")], ":2: snr 'loud' is no number"),
        ([row(snr="nan")], ":2: snr 'nan' is no number"),
        ([row(path="")], ":2: no path"),
        ([row(), row()], ":3: a.wav is in line 2 as well"),
        ([row()[:3]], ":2: 3 cells under 8 columns"),
        ([], "no clip in it"),
    ],
)
def test_a_faulty_line_is_named_with_its_cure(
    tmp_path: Path, rows: list[list[str]], told: str
) -> None:
    made.write_manifest(tmp_path, rows)
    with pytest.raises(CorpusError) as caught:
        read_corpus(tmp_path)
    assert told in str(caught.value)
    assert str(tmp_path / "manifest.csv") in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no column path, label, class in the header (empty)"),
        (b"path;label;class\n", "with commas between"),
        (b"path,label,class\n\xff\xfe", "not UTF-8"),
        (b'path,label,class\na.wav,"speech,x\n', "mend the quotes"),
    ],
)
def test_a_broken_manifest_is_refused(
    tmp_path: Path, content: bytes, told: str
) -> None:
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(CorpusError) as caught:
        read_corpus(tmp_path)
    assert told in str(caught.value)


def test_the_same_file_by_another_name_is_named(tmp_path: Path) -> None:
    made.write_manifest(
        tmp_path,
        [("a/b.wav", "speech", "x"), ("./a//b.wav", "ghost", "x")],
        ("path", "label", "class"),
    )
    with pytest.raises(CorpusError, match=r":3: \./a//b\.wav is in line 2 as well"):
        read_corpus(tmp_path)


def test_only_lines_end_lines(tmp_path: Path) -> None:
    """U+2028 and a form feed end none in a CSV file."""
    name = "a\u2028b\x0cc.wav"
    for end in ("\n", "\r\n", "\r"):
        text = end.join(["\ufeffpath,label,class", f"{name},speech,x", ""])
        (tmp_path / "manifest.csv").write_bytes(text.encode())
        (row,) = read_corpus(tmp_path).rows
        assert (row.path, row.line) == (name, 2)


def test_nobody_speaks_before_the_clip(tmp_path: Path) -> None:
    made.write_manifest(
        tmp_path,
        [("a.wav", "speech", "x", "-0.5")],
        ("path", "label", "class", "speech_start"),
    )
    with pytest.raises(CorpusError, match=r":2: speech_start -0\.5 is before the clip"):
        read_corpus(tmp_path)


def test_many_faults_are_told_ten_at_a_time(tmp_path: Path) -> None:
    made.write_manifest(tmp_path, [row(f"{n}.wav", label="?") for n in range(25)])
    with pytest.raises(CorpusError) as caught:
        read_corpus(tmp_path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "… and 15 more"


def test_a_folder_without_a_manifest_says_where_one_is(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        read_corpus(tmp_path / "nowhere")
    (tmp_path / "dev").mkdir()
    with pytest.raises(CorpusError, match="at least the columns path,label,class"):
        read_corpus(tmp_path / "dev")
    made.write_manifest(tmp_path, [row()])
    with pytest.raises(CorpusError, match=f"name {tmp_path}"):
        read_corpus(tmp_path / "dev")
    (tmp_path / "manifest.csv").unlink()
    (tmp_path / "manifest.csv").mkdir()
    with pytest.raises(CorpusError, match="Is a directory"):
        read_corpus(tmp_path)


def test_the_detector_hears_of_the_prompt_that_leaks(tmp_path: Path) -> None:
    corpus = read_corpus(made.corpus(tmp_path))
    clips = [read_clip(corpus, row) for row in corpus.rows]
    assert [clip.prompt is not None for clip in clips].count(True) == 1
    sent = np.frombuffer(clips[4].prompt or b"", np.int16)
    assert len(clips[4].prompt or b"") == len(clips[4].pcm)
    assert np.array_equal(sent[: made.voice().size], made.voice()[::-1])
    assert clips[4].seconds == 3.0


def test_a_prompt_that_is_not_there_is_told(tmp_path: Path) -> None:
    corpus = read_corpus(made.corpus(tmp_path))
    (tmp_path / "prompts/id_menu.flac").unlink()
    clip = read_clip(corpus, corpus.rows[4])
    assert clip.prompt is None
    assert clip.is_prompt_missing


def test_of_two_languages_the_one_that_leaks_is_meant(tmp_path: Path) -> None:
    corpus = read_corpus(made.corpus(tmp_path))
    made.save(tmp_path / "prompts/en_menu.flac", made.voice(), subtype="PCM_16")
    made.save(tmp_path / "prompts/notes.wav", made.voice(), subtype="PCM_16")
    names = [path.name for path in candidates(tmp_path / "prompts", "menu.wav")]
    assert names == ["en_menu.flac", "id_menu.flac"]
    clip = read_clip(corpus, corpus.rows[4])
    sent = np.frombuffer(clip.prompt or b"", np.int16)
    assert np.array_equal(sent[: made.voice().size], made.voice()[::-1])


def test_likeness_knows_a_late_copy_from_a_stranger() -> None:
    sent = made.called()
    late = np.roll(sent, 1600) // 10 + made.hiss(3.0, 20.0, seed=9)
    assert likeness(late, sent) > 3 * likeness(made.hiss(3.0, 20.0), sent)


def test_prompts_without_a_sample_are_silence(tmp_path: Path) -> None:
    corpus = read_corpus(made.corpus(tmp_path))
    (tmp_path / "prompts/id_menu.flac").unlink()
    made.save(tmp_path / "prompts/menu.wav", np.zeros(0, np.int16))
    assert not any(read_clip(corpus, corpus.rows[4]).prompt or b"x")


def test_less_than_a_frame_is_no_clip(tmp_path: Path) -> None:
    made.save(tmp_path / "short.wav", made.hiss(0.019))
    with pytest.raises(AudioError, match="shorter than one frame"):
        open_clip(tmp_path / "short.wav")
