"""What reports say, in Indonesian and in English."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Laporan 112 {city}", "112 {city}: report"),
    "from-to": ("{begin} sampai {end}, waktu {zone}", "{begin} to {end}, {zone} time"),
    "made": ("Dibuat {at} · Gerbang112", "Made {at} · Gerbang112"),
    "not-over": (
        "Periode ini belum berakhir: angka sampai {at}.",
        "The period is not over: figures up to {at}.",
    ),
    "nothing": (
        "Tidak ada panggilan yang tercatat dalam periode ini.",
        "No calls are recorded in this period.",
    ),
    "calls": ("panggilan", "calls"),
    "total": ("Jumlah", "Total"),
    "share": ("%", "%"),
    "yes": ("ya", "yes"),
    "no": ("tidak", "no"),
    "month": ("Bulan", "Month"),
    "day": ("Hari", "Day"),
    "hour": ("Jam", "Hour"),
    "ghost": ("ghost", "ghost"),
    "prank": ("prank", "prank"),
    "information": ("informasi", "information"),
    "valid": ("valid", "valid"),
    "unclassified": ("belum digolongkan", "unclassified"),
    # ---- evaluation
    "evaluation": ("Evaluasi panggilan", "Evaluation of calls"),
    "evaluation-note": (
        "Golongan menurut operator; tanpa itu, ghost hanya bila catatan menunjukkan "
        "bahwa tidak ada orang. {classified} panggilan digolongkan operator; "
        "{incomplete} catatan tidak lengkap.",
        "Classes are the operator's word; without it, ghost only where the record "
        "shows that nobody was there. Operators classified {classified} calls; "
        "{incomplete} records are incomplete.",
    ),
    "calls-by-part": ("Panggilan menurut golongan", "Calls by class"),
    "rating": ("Penilaian", "Rating"),
    "rating-head": ("nilai", "rating"),
    "answers": ("jawaban", "answers"),
    "of-five": ("dari 5, {n} jawaban", "of 5, {n} answers"),
    "rating-note": (
        "Rata-rata {mean} dari {n} jawaban.",
        "Mean {mean} of {n} answers.",
    ),
    "no-rating": ("Belum ada penilaian.", "Nobody has rated the service."),
    "score": ("Nilai", "Score"),
    "types": ("Laporan terbanyak", "Most frequent reports"),
    "type": ("Jenis laporan", "Kind of report"),
    "types-note": (
        "Dari panggilan valid. Kata bebas yang dipakai kurang dari {n} laporan masuk "
        "“lainnya”, sebab bisa memuat nama.",
        "Of valid calls. Free words fewer than {n} reports share are among “other”: "
        "they might hold a name.",
    ),
    "no-types": ("Tidak ada panggilan valid.", "There is no valid call."),
    "ends": ("Sejauh mana panggilan sampai", "How far calls came"),
    "end": ("Berakhir sebagai", "Ended as"),
    "connected": ("tersambung dengan operator", "connected to an operator"),
    "abandoned": ("ditutup penelepon saat antre", "hung up while queued"),
    "left": ("ditutup penelepon sebelum antre", "hung up before the queue"),
    "released": ("diakhiri filter (ghost)", "released by the filter (ghost)"),
    "lost": ("hilang karena kami", "lost by us"),
    "offered": ("tidak dijawab sistem", "not answered by the system"),
    "answered": ("putus setelah dijawab sistem", "answered, no end known"),
    "passed": ("lolos filter, akhir tidak diketahui", "passed, no end known"),
    "queued": ("antre, akhir tidak diketahui", "queued, no end known"),
    "unanswered": ("tidak diangkat", "unanswered"),
    "lost-note": (
        "Tidak satu pun boleh hilang. Cari dengan: gerbang calls.",
        "None may ever be lost. Look for them: gerbang calls.",
    ),
    # ---- answer times
    "answer-times": ("Waktu jawab", "Answer times"),
    "yardstick": ("Tolok ukur", "Yardstick"),
    "nena-15": ("NENA: dalam 15 detik", "NENA: within 15 s"),
    "nena-20": ("NENA: dalam 20 detik", "NENA: within 20 s"),
    "ofcom-5": ("Ofcom: dalam 5 detik", "Ofcom: within 5 s"),
    "ofcom-days": ("Ofcom: setiap 24 jam", "Ofcom: any 24 hours"),
    "required": ("target", "required"),
    "reached": ("tercapai", "reached"),
    "kept-head": ("terpenuhi", "kept"),
    "counted": ("dihitung", "counted"),
    "strict": ("ketat", "strictly"),
    "people": ("tanpa ghost", "without ghosts"),
    "in-queue": ("hanya antrean", "queue alone"),
    "worst": ("terburuk {share} sejak {at}", "worst {share} from {at}"),
    "clock-note": (
        "Waktu dihitung sejak panggilan tiba (INVITE) sampai suara operator: salam dan "
        "filter ikut dihitung, sebab penelepon menunggu. Yang dihitung: yang "
        "diteruskan ke operator, dan yang hilang. Penelepon yang menutup setelah batas "
        "waktu = gagal; yang menutup sebelum batas tidak dihitung (kolom “ketat” "
        "menghitungnya). “Hanya antrean” dihitung sejak masuk antrean. Di "
        "luar hitungan: {released} diakhiri filter, {left} menutup sebelum antrean.",
        "The clock runs from the call's arrival (INVITE) to an operator's voice: "
        "greeting and filter count, since the caller waits through them. Counted are "
        "those put through to operators, and those we lost. Who gave up after the "
        "limit is a miss; who gave up before it counts neither way (“strictly” "
        "counts them). “Queue alone” runs from joining the queue. Outside: "
        "{released} released by the filter, {left} who hung up before the queue.",
    ),
    "eu": ("Indikator Uni Eropa", "European Union's indicators"),
    "figure": ("Angka", "Figure"),
    "value": ("Nilai", "Value"),
    "mean-answer": ("waktu jawab rata-rata", "mean answer time"),
    "within-10": ("dijawab dalam 10 detik", "answered within 10 s"),
    "longest-tenth": (
        "rata-rata 10 % waktu jawab terlama",
        "mean of the longest 10 % of answer times",
    ),
    "abandon-rate": (
        "ditutup sebelum dijawab, dari semua panggilan",
        "hung up before an answer, of all calls",
    ),
    "false-calls": ("panggilan palsu (ghost, prank)", "false calls (ghost, prank)"),
    "by-part": ("Per periode", "By time"),
    "put-through": ("ke operator", "put through"),
    "mean": ("rata2", "mean"),
    "median": ("median", "median"),
    "p95": ("95 %", "95 %"),
    "longest-tenth-head": ("10 % terlama", "longest 10 %"),
    "longest": ("terlama", "longest"),
    "gave-up": ("putus", "gave up"),
    "lost-head": ("hilang", "lost"),
    "curve": ("Dijawab dalam …", "Answered within …"),
    "curve-offered": ("sejak panggilan tiba", "from arrival"),
    "curve-queued": ("sejak masuk antrean", "from the queue"),
    "seconds": ("{n} dtk", "{n} s"),
    # ---- the filter
    "filter": ("Ghost dan operator", "Ghosts and operators"),
    "kept-away": ("ghost yang tidak mendering", "ghosts that rang no phone"),
    "promised": ("dijanjikan {share}", "promised {share}"),
    "ghost-connected": (
        "ghost yang bicara dengan operator",
        "ghosts operators talked to",
    ),
    "ghost-time": ("waktu operator untuk ghost", "operators' time with ghosts"),
    "ghost-low": ("ghost prioritas rendah", "ghosts at low priority"),
    "drops": (
        "ditutup oleh filter (diakhiri, atau ditutup saat pamit)",
        "dropped (released, or hung up in the goodbye)",
    ),
    "saved": ("diselamatkan saat pamit", "saved in the goodbye"),
    "holdout": (
        "calon dilepas yang diteruskan (undian {holdout}, bayangan {shadow})",
        "would-be releases put through (lot {holdout}, shadow {shadow})",
    ),
    "holdout-people": ("di antaranya orang", "of these, people"),
    "dropped-people": (
        "jadi orang di antara yang ditutup filter",
        "so people among the dropped",
    ),
    "reviewed": ("didengarkan kembali", "listened to again"),
    "reviewed-people": ("di antaranya orang", "of these, people"),
    "interval": ("{share} ({low} … {high})", "{share} ({low} … {high})"),
    "of": ("{k} dari {n}", "{k} of {n}"),
    "estimate": ("{middle} ({low} … {high})", "{middle} ({low} … {high})"),
    "unknown": ("tidak diketahui", "unknown"),
    "interval-note": (
        "Dalam kurung: selang kepercayaan 95 % (Clopper-Pearson). “Orang”: kata "
        "operator, kata pendengar ulang, atau bicara 20 detik.",
        "In brackets: the 95 % interval (Clopper-Pearson). “People”: the operator's "
        "word, a reviewer's, or 20 s of talk.",
    ),
    # ---- hours
    "hours": ("Jam sibuk", "Busy hours"),
    "week": ("Panggilan per jam dan hari", "Calls by weekday and hour"),
    "by-hour": ("Panggilan per jam, menurut golongan", "Calls by hour, by class"),
    "busiest": ("Jam tersibuk", "Busiest hours"),
    "begin": ("Mulai", "Begin"),
    # ---- operators
    "operators": ("Operator", "Operators"),
    "operator": ("Operator", "Operator"),
    "rung": ("dering", "rung"),
    "answered-head": ("diangkat", "answered"),
    "missed-head": ("terlewat", "missed"),
    "talk": ("bicara", "talk"),
    "hold": ("tahan", "hold"),
    "ring": ("dering", "ring"),
    "wrap-up": ("beres-beres", "wrap-up"),
    "occupancy": ("keterisian", "occupancy"),
    "operators-note": (
        "Bicara termasuk tahan. Keterisian: dering, bicara dan beres-beres dibagi jam "
        "saat teleponnya berdering; jadwal jaga tidak tercatat. Panggilan dihitung "
        "pada operator pertama.",
        "Talk includes hold. Occupancy: ring, talk and wrap-up over the clock hours in "
        "which the phone rang; shifts are not recorded. A call counts for its first "
        "operator.",
    ),
    "no-operators": ("Tidak ada telepon operator yang berdering.", "No phone rang."),
}  # fmt: skip
"""Key → Indonesian, English."""
