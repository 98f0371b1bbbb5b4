"""The exercises' checks with German feedback, for the German chapters.

    from mpc.course import exercises_de as exercises

A check here is the one of the same name in `exercises`; its sentence is looked up in
`SENTENCES`. There `{}` stands for a number, a name, or another sentence of the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mpc.course import exercises


def __getattr__(name: str) -> Callable[[Any], None]:
    check = getattr(exercises, name)

    def run(answer):
        wrong = check.mistake(answer)
        print(f"Noch nicht: {in_german(wrong)}." if wrong
              else f"Richtig. {in_german(check.__doc__)}")
    return run


def expect(holds: Any) -> None:
    """Say if a number of the text does not hold in this run, and go on."""
    if not holds:
        print("Der Text beschreibt hier ein anderes Ergebnis, das des gespeicherten "
              "Laufs: Mit anderen Parametern, auf einem anderen Rechner oder nach "
              "einer Änderung des Programms kann deines abweichen.")


def in_german(sentence: str) -> str:
    """The translation of a sentence, or the sentence itself if there is none."""
    for pattern, german in _PATTERNS:
        found = pattern.fullmatch(sentence)
        if found:
            return german.format(*map(in_german, found.groups()))
    return sentence


SENTENCES = {
    # every exercise
    "put your answer in place of the three dots, then run the cell again":
        "setze deine Antwort an die Stelle der drei Punkte und führe die Zelle noch "
        "einmal aus",
    "the answer is a function, not {}": "die Antwort ist eine Funktion, nicht {}",
    "this answer cannot be used ({}: {})": "mit dieser Antwort geht es nicht ({}: {})",
    "a whole number is expected, such as 7, and not {}":
        "erwartet wird eine ganze Zahl wie 7, nicht {}",
    "{} numbers are expected, and not {}": "erwartet werden {} Zahlen, nicht {}",
    "the shape is {}, and {} is expected": "die Form ist {}, erwartet wird {}",
    "{} of {} numbers differ": "{} von {} Zahlen sind anders",
    "{} is not correct": "{} ist nicht richtig",
    "nobody knows this number: {}": "niemand kennt diese Zahl: {}",
    "multiply it by common numbers and add, nothing else":
        "multipliziere sie mit gemeinsamen Zahlen und addiere, sonst nichts",
    "combine bits by ^ alone": "verknüpfe Bits nur mit ^",
    "look at nothing but a lowest bit, such as that of ring.add(a, a)":
        "sieh nichts an als ein unterstes Bit, wie das von ring.add(a, a)",

    # 1. Anteile eines Bildes
    "6 + 4 = 10, which is 2: adding 4 is the same as subtracting 4.":
        "6 + 4 = 10, und das ist 2: 4 zu addieren ist dasselbe, wie 4 abzuziehen.",
    "{} does not exist: the elements of Z_2^3 are 0 to 7":
        "{} gibt es nicht: Die Elemente von Z_2^3 sind 0 bis 7",
    "6 + {} is {} on this clock, not 2": "6 + {} ist auf dieser Uhr {}, nicht 2",
    "Two masks and the remainder; any two of the three shares still look random.":
        "Zwei Masken und der Rest; je zwei der drei Anteile sehen noch immer zufällig "
        "aus.",
    "{} shares for three workers": "{} Anteile für drei Worker",
    "{} is not an element of {}: ring.sub wraps around, - does not":
        "{} ist kein Element von {}: ring.sub läuft um, - nicht",
    "one of the shares is the secret itself: its worker can read it":
        "einer der Anteile ist das Geheimnis selbst: Sein Worker kann es lesen",
    "the shares of {} add up to {}; they must add up to the secret":
        "die Summe der Anteile von {} ist {}; sie muss das Geheimnis sein",
    "workers {} and {} can tell secrets apart: in {}, over all masks, their shares for "
    "the secret {} occur with other frequencies than for 0":
        "die Worker {} und {} können Geheimnisse unterscheiden: In {} kommen ihre "
        "Anteile, über alle Masken gezählt, für das Geheimnis {} anders oft vor als "
        "für 0",
    "Half of the secrets are ruled out: the masks did not cover the whole ring.":
        "Die Hälfte der Geheimnisse scheidet aus: Die Masken haben nicht den ganzen "
        "Ring abgedeckt.",
    "{} are not elements of Z_2^3: wrap around at 8":
        "{} sind keine Elemente von Z_2^3: Bei 8 läuft die Uhr um",
    "{} is not possible: its mask would be {}":
        "{} ist nicht möglich: Die Maske wäre {}",
    "there are 4 possible masks, so 4 possible secrets, not {}":
        "es gibt 4 mögliche Masken, also 4 mögliche Geheimnisse, nicht {}",
    "Only one worker adds a public number: the package does it in `Share.plus`.":
        "Nur ein Worker addiert eine öffentliche Zahl: Im Paket macht das "
        "`Share.plus`.",
    "255 was added twice, once by each worker":
        "255 wurde zweimal addiert, von jedem Worker einmal",
    "255 is missing: one worker must add it":
        "255 fehlt: Ein Worker muss sie addieren",
    "pixels of brightness {} become {}, not {}":
        "aus Pixeln der Helligkeit {} wird {}, nicht {}",

    # 2. Das Komma
    "65,286 is 250 below 65,536, which is 0: it represents -250 thousandths.":
        "65 286 liegt 250 unter 65 536, und das ist 0: Es steht für -250 Tausendstel.",
    "{} does not exist: the elements of Z_2^16 are 0 to 65,535":
        "{} gibt es nicht: Die Elemente von Z_2^16 sind 0 bis 65 535",
    "{} stands for {}": "{} steht für {}",
    "3,125,000 millionths are 3.125, and no digit is lost.":
        "3 125 000 Millionstel sind 3,125, und keine Stelle geht verloren.",
    "3.125 is the number itself; its raw value counts millionths":
        "3,125 ist die Zahl selbst; ihr Rohwert zählt Millionstel",
    "this adds raw values of two scales; 3 is 3,000,000 at scale 1,000,000":
        "das addiert Rohwerte mit zwei Skalen; 3 ist 3 000 000 mit Skala 1 000 000",
    "3125 is the sum at scale 1000; give it at scale 1,000,000":
        "3125 ist die Summe mit Skala 1000; gesucht ist sie mit Skala 1 000 000",
    "at scale 1,000,000 this is {}, not 3.125":
        "mit Skala 1 000 000 ist das {}, nicht 3,125",
    "One worker rounds down and the other up, so errors cancel on average.":
        "Ein Worker rundet ab und der andere auf, also heben sich die Fehler im Mittel "
        "auf.",
    "{} is no element of {}: a minus sign wraps around at 2^64; take ring.neg":
        "{} ist kein Element von {}: Ein Minuszeichen läuft bei 2^64 um; nimm ring.neg",
    "without a division, bob's share is 10 times too large: 25 becomes {}":
        "ohne Division ist bobs Anteil zehnmal zu groß: Aus 25 wird {}",
    "for {} / 10 the result is far off with {} of {} masks; only {} are unavoidable":
        "für {} / 10 liegt das Ergebnis bei {} von {} Masken weit daneben; nur {} sind "
        "unvermeidlich",
    "{} / 10 is {} too {} on average": "{} / 10 ist im Mittel um {} zu {}",
    "high": "groß",
    "low": "klein",
    "A common number, and a common number times a share: linear, so it is free.":
        "Eine gemeinsame Zahl, und eine gemeinsame Zahl mal ein Anteil: linear, also "
        "umsonst.",
    "l = 4, x = {}, a = {}, c = {}, so e = {} and t = {}":
        "l = 4, x = {}, a = {}, c = {}, also e = {} und t = {}",
    "{}: {} came, but a bit is 0 or 1":
        "{}: Heraus kam {}, aber ein Bit ist 0 oder 1",
    "{}: it wrapped around; one top bit of 1 is enough":
        "{}: Es ist umgelaufen; ein oberstes Bit gleich 1 genügt",
    "{}: {} + {} is below 16, so it did not wrap around":
        "{}: {} + {} ist kleiner als 16, also nicht umgelaufen",
    "2^54 is the first power of two above 10^16.":
        "2^54 ist die erste Zweierpotenz über 10^16.",
    "{} is not a number of bits; take an integer from 1 to 64":
        "{} ist keine Anzahl von Bits; nimm eine ganze Zahl von 1 bis 64",
    "with {} bits there are errors more often than once in 10^9: {}":
        "mit {} Bits gibt es öfter Fehler als einmal in 10^9: {}",
    "fewer would do: with {} bits there is one error in {}":
        "weniger würden genügen: Mit {} Bits gibt es einen Fehler in {}",

    # 3. Geheimnisse multiplizieren
    "Four pieces of a rectangle: one public, two linear in shares, one dealt.":
        "Vier Teile eines Rechtecks: eines öffentlich, zwei linear in Anteilen, eines "
        "ausgeteilt.",
    "the result is a {}, not a share of the product":
        "das Ergebnis ist ein {}, kein Anteil des Produkts",
    "the grey piece is missing: one worker must add it":
        "das graue Teil fehlt: Ein Worker muss es addieren",
    "the grey piece was added twice, once for each worker":
        "das graue Teil wurde zweimal addiert, für jeden Worker einmal",
    "the orange piece, a b, is missing": "das orange Teil, a b, fehlt",
    "epsilon goes with b, and delta with a; look at the rectangle":
        "epsilon gehört zu b und delta zu a; sieh dir das Rechteck an",
    "{}'s share depends on the other worker's shares: each worker computes with its "
    "own":
        "der Anteil von {} hängt von Anteilen des anderen Workers ab: Jeder rechnet "
        "mit seinen eigenen",
    "1,204,224 bytes: a worker sends the factors, of 50,176 and 100,352 elements.":
        "1 204 224 Bytes: Ein Worker schickt die Faktoren, mit 50 176 und 100 352 "
        "Elementen.",
    "these are elements, not bytes": "das sind Elemente, nicht Bytes",
    "these are the bytes of both workers": "das sind die Bytes beider Worker",
    "this opens each factor again for each single product":
        "das öffnet jeden Faktor für jedes einzelne Produkt noch einmal",
    "{} is not correct: count the elements of both factors":
        "{} ist nicht richtig: Zähle die Elemente beider Faktoren",
    "Three products in all: one for each worker, and this one for the provider.":
        "Insgesamt drei Produkte: eines für jeden Worker, und dieses für den Provider.",
    "this is right, but takes {} products of shares, not 1":
        "das ist richtig, braucht aber {} Produkte von Anteilen, nicht 1",
    "a = {} and b = {} need {}, not {}": "a = {} und b = {} brauchen {}, nicht {}",
    "{}; look at the sign": "{}; achte auf das Vorzeichen",
    "{}; that is half of it": "{}; das ist die Hälfte davon",
    "{}; the products of each worker must be subtracted":
        "{}; die Produkte jedes Workers müssen abgezogen werden",
    "The mask and the opened value reveal the secret: never tell the dealer.":
        "Die Maske und der geöffnete Wert verraten das Geheimnis: Sag es nie dem "
        "Austeiler.",
    "the mask is still on it": "die Maske ist noch darauf",
    "the mask was subtracted again; it must be added":
        "die Maske wurde noch einmal abgezogen; sie muss addiert werden",
    "one share of the mask is missing, or more: there are {} workers":
        "ein Anteil der Maske fehlt, oder mehrere: Es gibt {} Worker",
    "The difference, 26, plus alice's 5 is 31; the mask was 11, but is not needed.":
        "Die Differenz, 26, plus alices 5 ist 31; die Maske war 11, wird aber nicht "
        "gebraucht.",
    "{} does not exist: the elements of Z_2^8 are 0 to 255":
        "{} gibt es nicht: Die Elemente von Z_2^8 sind 0 bis 255",
    "26 is the difference of the secrets; alice knows hers":
        "26 ist die Differenz der Geheimnisse; alice kennt ihres",
    "the difference is the other way round": "die Differenz ist andersherum",
    "under the mask {}, 5 would be opened as {}, not as 250":
        "unter der Maske {} würde 5 als {} geöffnet, nicht als 250",

    # 4. Geheimnisse vergleichen
    "In an odd ring, 2a is odd exactly if it wraps around: for a in the upper half.":
        "In einem ungeraden Ring ist 2a genau dann ungerade, wenn es umläuft: für a in "
        "der oberen Hälfte.",
    "{} is too large, bits are 0 and 1: take the lowest bit":
        "{} ist zu groß, Bits sind 0 und 1: Nimm das unterste Bit",
    "this is the lowest bit of a itself: the top bit of {} is 0":
        "das ist das unterste Bit von a selbst: Das oberste Bit von {} ist 0",
    "every double is even without wrapping around: ring.add wraps around, + does not":
        "jedes Doppelte ist gerade, wenn nichts umläuft: ring.add läuft um, + nicht",
    "in {}, the top bit of {} is different":
        "in {} ist das oberste Bit von {} ein anderes",
    "One zero if x < t, else none: for t = r + 1 the opposite of x > r.":
        "Eine Null, wenn x < t, sonst keine: für t = r + 1 das Gegenteil von x > r.",
    "x = {} and t = {}": "x = {} und t = {}",
    "{} give a zero, but they are equal, which is not below":
        "{} ergeben eine Null, aber sie sind gleich, und das ist nicht kleiner",
    "{} give {}: a zero where a place further up has decided":
        "{} ergeben {}: eine Null, wo eine höhere Stelle schon entschieden hat",
    "{} give {}, with a zero: that finds x > t, if anything":
        "{} ergeben {}, mit einer Null: Das findet allenfalls x > t",
    "{} give {}, without a zero: that finds x > t, if anything":
        "{} ergeben {}, ohne eine Null: Das findet allenfalls x > t",
    "{} give {}: one zero at most, and only numbers 0 to 5":
        "{} ergeben {}: höchstens eine Null, und nur Zahlen von 0 bis 5",
    "{} is not a number in shares": "{} ist keine Zahl in Anteilen",
    "37 is the next prime after 33.": "37 ist die nächste Primzahl nach 33.",
    "{} is not a modulus": "{} ist kein Modul",
    "with 32 bits c can be {}, which is 0 mod {}":
        "mit 32 Bits kann c gleich {} sein, und das ist 0 mod {}",
    "{} is {} times {}: a product of non-zero numbers can be 0":
        "{} ist {} mal {}: Ein Produkt von Zahlen, die nicht 0 sind, kann 0 sein",
    "{} works, but so does a smaller one":
        "mit {} geht es, aber auch mit einem kleineren",
    "2 times 8 is 16, the first number of the upper half: the limit is 2^(l-2).":
        "2 mal 8 ist 16, die erste Zahl der oberen Hälfte: Die Grenze ist 2^(l-2).",
    "{} is not a positive number of this ring: they go from 1 to 15":
        "{} ist keine positive Zahl dieses Rings: Sie gehen von 1 bis 15",
    "for {} DReLU says 1, and it is right": "für {} sagt DReLU 1, und das stimmt",
    "for {} DReLU says 0, but there is a smaller one":
        "für {} sagt DReLU 0, aber es gibt eine kleinere",
    "The factor s hides one number, but not the ratio of two.":
        "Der Faktor s versteckt eine Zahl, aber nicht das Verhältnis von zweien.",
    "reduce mod p: ": "reduziere mod p: ",
    "c = {} and d = {}: {}there is an s, {}": "c = {} und d = {}: {}Es gibt ein s, {}",
    "c = {} and d = {}: no s does that": "c = {} und d = {}: Kein s macht das",
    "mod {}, c = {} and d = {}: there is {} s":
        "mod {}, c = {} und d = {}: Es gibt {} s",
    "Two look-ups and an XOR: each worker does that on its own shares.":
        "Zweimal nachschlagen und ein XOR: Das macht jeder Worker mit seinen eigenen "
        "Anteilen.",
    "u = {}, v = {}: {}": "u = {}, v = {}: {}",
    "u + v reaches 15 only, which generates no carry":
        "u + v erreicht nur 15, und das erzeugt keinen Übertrag",
    "u + v is {}; from 16 on it generates a carry":
        "u + v ist {}; ab 16 erzeugt es einen Übertrag",
    "this group generates a carry by itself, so let p = 0":
        "diese Gruppe erzeugt selbst einen Übertrag, also sei p = 0",
    "u + v is {}; 15 alone propagates": "u + v ist {}; nur 15 leitet weiter",

    # 7. Training mit MNIST
    "Batches 4 and 7: owners change at pictures 214 and 427, not multiples of 64.":
        "Die Batches 4 und 7: Die Besitzer wechseln bei den Bildern 214 und 427, und "
        "das sind keine Vielfachen von 64.",
    "correct, if one counted from 0; here the first batch is number 1":
        "richtig, wenn man bei 0 anfinge; hier hat der erste Batch die Nummer 1",
    "{} of the batches {} straddle two owners, and {} of all ten do; owner 1 has "
    "pictures 0 to 213":
        "{} der Batches {} gehören zwei Besitzern, und {} von allen zehn; der erste "
        "Besitzer hat die Bilder 0 bis 213",
    "12,288 comparisons: one for each of 192 hidden units and 64 pictures.":
        "12 288 Vergleiche: einer für jede der 192 verborgenen Einheiten und jedes der "
        "64 Bilder.",
    "the backward pass needs no comparison: it reuses the bits of the ReLUs":
        "der Rückwärtsschritt braucht keinen Vergleich: Er benutzt die Bits der ReLUs "
        "noch einmal",
    "{} is correct for one picture, but a batch has {}":
        "{} ist richtig für ein Bild, aber ein Batch hat {}",
    "no ReLU follows the last layer": "auf die letzte Schicht folgt kein ReLU",
    "{} is not correct: count both hidden layers, for each picture":
        "{} ist nicht richtig: Zähle beide verborgenen Schichten, für jedes Bild",
    "One number per epoch still shows the server that the network learns.":
        "Auch eine Zahl pro Epoche zeigt dem Server, dass das Netz lernt.",
    "{} received a result, too": "auch {} hat ein Ergebnis bekommen",
    ".float_precision() is missing, which decodes the revealed value":
        ".float_precision() fehlt, das den aufgedeckten Wert decodiert",
    "that is still secret: .get() reveals it, .float_precision() decodes it":
        "das ist noch geheim: .get() deckt es auf, .float_precision() decodiert es",
    "the server was told {} numbers for {} losses: add first, then reveal":
        "der Server hat {} Zahlen für {} Verluste erfahren: erst addieren, dann "
        "aufdecken",
    "for the losses {} the result is {}, not their mean":
        "für die Verluste {} ist das Ergebnis {}, nicht ihr Mittelwert",
    "All digits are sevens now. One party broke the rules, and nobody can tell.":
        "Jetzt sind alle Ziffern Siebenen. Ein Beteiligter hat die Regeln gebrochen, "
        "und niemand kann es erkennen.",
    "the biases are noise now: alice does not know bob's share, so she can add to her "
    "own but not replace it":
        "die Biase sind jetzt Rauschen: Alice kennt bobs Anteil nicht, also kann sie "
        "zu ihrem etwas addieren, ihn aber nicht ersetzen",
    "the 7 gains only {} over the others, not 5; shares are in thousandths":
        "die 7 gewinnt nur {} gegenüber den anderen, nicht 5; Anteile zählen "
        "Tausendstel",
    "Over half of the guesses are correct: the model reveals its training data.":
        "Über die Hälfte der Vermutungen stimmt: Das Modell verrät seine "
        "Trainingsdaten.",
    "with {}, {} % of the members and {} % of the others are guessed correctly; a "
    "better threshold is where the two histograms cross":
        "mit {} werden {} % der Mitglieder und {} % der anderen richtig erraten; eine "
        "bessere Schwelle liegt, wo sich die beiden Histogramme kreuzen",
}


def _pattern(template):
    return re.compile("(.*?)".join(map(re.escape, template.split("{}"))), re.S)


_PATTERNS = [(_pattern(english), german) for english, german in sorted(
    SENTENCES.items(), key=lambda pair: -len(pair[0].replace("{}", "")))]
