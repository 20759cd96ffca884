"""Texts unlike exam questions in English, for measuring the flag for unfamiliar prompts.

Written for the project, drawn from a seeded generator, or taken from Python's own library.
"""

from __future__ import annotations

import ast
import importlib.util
import random
import string
from pathlib import Path

#: Everyday questions and exam questions alike, so that it is the script that is strange.
_OTHER_SCRIPTS = """
Почему небо голубое днём и красное на закате?
Напиши короткое письмо соседу о протекающей трубе.
Сколько будет сто двадцать пять умножить на восемь?
Какой газ растения поглощают при фотосинтезе: кислород, азот или углекислый газ?
Чому взимку дні коротші, ніж улітку?
Γιατί το καλοκαίρι είναι πιο ζεστό από τον χειμώνα;
Ποιος έγραψε την Οδύσσεια και για τι μιλάει;
Πόσο κάνει επτά φορές το δεκαεπτά;
لماذا تكون السماء زرقاء في النهار؟
اكتب رسالة قصيرة إلى مديري أطلب فيها إجازة.
ما هي عاصمة أستراليا وكم عدد سكانها؟
چرا برگ درختان در پاییز زرد می‌شود؟
למה השמיים כחולים ביום ואדומים בשקיעה?
כמה זה שבע עשרה כפול שלוש?
आसमान नीला क्यों दिखाई देता है?
एक ट्रेन दो घंटे में एक सौ बीस किलोमीटर चलती है; उसकी गति क्या है?
আকাশ নীল কেন দেখায়?
வானம் ஏன் நீல நிறமாக இருக்கிறது?
ทำไมท้องฟ้าถึงเป็นสีฟ้า
ช่วยเขียนจดหมายลาป่วยสั้น ๆ ให้หน่อย
为什么白天的天空是蓝色的?
请帮我写一封请假条,明天上午要去看医生。
一列火车两小时行驶一百二十公里,它的平均速度是多少?
下列哪一种气体是植物进行光合作用时吸收的?
なぜ空は青いのですか。
明日の会議を延期したいので、丁寧なメールを書いてください。
十七かける三はいくつですか。
하늘은 왜 파란색인가요?
내일 회의를 미루자는 짧은 메일을 써 주세요.
세 사람이 사과 열두 개를 똑같이 나누면 한 사람이 몇 개를 가집니까?
რატომ არის ცა ლურჯი?
Ինչու՞ է երկինքը կապույտ:
"""

_ROMANCE = """
¿Por qué el cielo es azul durante el día y rojo al atardecer?
Escribe una carta breve a mi vecino sobre la tubería que gotea.
¿Cuánto es ciento veinticinco por ocho?
Explícame la diferencia entre una célula animal y una célula vegetal.
Un tren recorre ciento veinte kilómetros en dos horas; ¿cuál es su velocidad media?
¿Qué gas absorben las plantas durante la fotosíntesis?
Resume en tres frases las causas de la Revolución francesa.
¿Cuáles son los síntomas más frecuentes de la anemia?
Traduce esta frase al inglés: mañana no podré ir a la reunión.
Propón una receta sencilla con lentejas, zanahoria y cebolla.
Pourquoi le ciel est-il bleu le jour et rouge au coucher du soleil ?
Écris une courte lettre à mon propriétaire au sujet de la fuite d'eau.
Combien font cent vingt-cinq multiplié par huit ?
Explique la différence entre une cellule animale et une cellule végétale.
Un train parcourt cent vingt kilomètres en deux heures ; quelle est sa vitesse moyenne ?
Quel gaz les plantes absorbent-elles pendant la photosynthèse ?
Résume en trois phrases les causes de la Révolution française.
Quels sont les symptômes les plus fréquents de l'anémie ?
Traduis cette phrase en anglais : je ne pourrai pas venir demain.
Propose une recette simple avec des lentilles, une carotte et un oignon.
Perché il cielo è azzurro di giorno e rosso al tramonto?
Scrivi una breve lettera al mio vicino riguardo al tubo che perde.
Quanto fa centoventicinque per otto?
Spiega la differenza tra una cellula animale e una cellula vegetale.
Un treno percorre centoventi chilometri in due ore; qual è la sua velocità media?
Quale gas assorbono le piante durante la fotosintesi?
Riassumi in tre frasi le cause della Rivoluzione francese.
Quali sono i sintomi più frequenti dell'anemia?
Por que o céu é azul de dia e vermelho ao pôr do sol?
Escreva uma carta curta ao meu vizinho sobre o cano que está vazando.
Quanto é cento e vinte e cinco vezes oito?
Explique a diferença entre uma célula animal e uma célula vegetal.
Um trem percorre cento e vinte quilômetros em duas horas; qual é a velocidade média?
Que gás as plantas absorvem durante a fotossíntese?
Resuma em três frases as causas da Revolução Francesa.
De ce este cerul albastru ziua și roșu la apus?
Scrie o scrisoare scurtă către vecinul meu despre țeava care curge.
Cât fac o sută douăzeci și cinci înmulțit cu opt?
Per què el cel és blau de dia i vermell a la posta de sol?
Quins són els símptomes més freqüents de l'anèmia?
"""

#: Modules of the standard library whose functions are taken as they stand.
_MODULES = ("bisect", "csv", "difflib", "fractions", "heapq", "shlex", "statistics", "textwrap")
_FEWEST_LINES, _MOST_FUNCTIONS, _NOISES = 4, 100, 100


def ood_texts(seed: int = 0) -> dict[str, list[str]]:
    """The made sets by name.

    Args:
        seed: Seed of the noise.
    """
    return {
        "other scripts": _lines(_OTHER_SCRIPTS),
        "Romance languages": _lines(_ROMANCE),
        "source code": _functions(),
        "keys and noise": _noise(seed),
    }


def _lines(block: str) -> list[str]:
    return block.strip().split("\n")


def _functions() -> list[str]:
    """Functions of the standard library; which, depends on the version of Python a little."""
    found: list[str] = []
    for name in _MODULES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            continue
        text = Path(spec.origin).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = text.split("\n")[node.lineno - 1 : node.end_lineno]
                if len(lines) >= _FEWEST_LINES:
                    found.append("\n".join(lines))
    return found[:: max(len(found) // _MOST_FUNCTIONS, 1)][:_MOST_FUNCTIONS]


def _noise(seed: int) -> list[str]:
    """Keys, base64, hex dumps, digits, letters and signs drawn at random."""
    draw = random.Random(seed)
    alphabets = (
        string.hexdigits.lower()[:16],
        string.ascii_letters + string.digits + "+/",
        string.digits + " ",
        string.ascii_lowercase + "     ",
        string.punctuation + " ",
    )
    return [
        "".join(draw.choices(alphabets[turn % len(alphabets)], k=draw.randint(20, 300)))
        for turn in range(_NOISES)
    ]
