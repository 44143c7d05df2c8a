"""Made-up people's names: families of many origins, as a city clinic knows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Heritage:
    """Names that go together in one family, the language it prefers to read, and how many such families there are."""

    share: int
    language: str
    female: tuple[str, ...]
    male: tuple[str, ...]
    families: tuple[str, ...]


def _group(share: int, language: str, female: str, male: str, families: str) -> Heritage:
    return Heritage(share, language, tuple(female.split()), tuple(male.split()), tuple(families.split()))


HERITAGES = (
    _group(9, "en", "Emma Charlotte Lucy Ruth Poppy Margaret Jean Zoë",
           "James Thomas Oliver Harry Peter Alan Jack Hugh",
           "Ashworth Bennett Carter Dawson Ellis Fletcher Harding Marsh Norris Pearce Thornton"),
    _group(3, "en", "Niamh Siobhan Morag Carys", "Declan Callum Rhys Ewan", "Byrne Gallagher MacLeod Morgan Kerr Pugh"),
    _group(3, "pl", "Agnieszka Katarzyna Zofia Hanna", "Piotr Jakub Marek Adam", "Nowak Wójcik Krawczyk Dudek Sikora"),
    _group(3, "gu", "Priya Anjali Meera Divya", "Rohan Vikram Sanjay Kiran", "Sharma Patel Iyer Desai Reddy Joshi"),
    _group(3, "bn", "Ayesha Nusrat Fatima Sadia", "Imran Tariq Rahim Yusuf",
           "Khan Ahmed Hussain Chowdhury Malik Rahman"),
    _group(3, "en", "Ngozi Abena Folake Ama", "Chidi Tunde Kofi Emeka", "Okonkwo Boateng Eze Balogun Asante Lawal"),
    _group(2, "en", "Marcia Shanice Gloria Yvonne", "Leroy Marlon Desmond Winston",
           "Campbell Clarke Francis Gordon Joseph"),
    _group(2, "zh", "Mei Xia Hui Lan", "Wei Jun Ming Hao", "Chan Wong Liu Zhang Lam Huang"),
    _group(2, "pt", "Beatriz Inês Lucía Teresa", "João Diogo Mateo Rafael", "Silva Oliveira Torres Costa Ramos Pinto"),
    _group(2, "so", "Amina Hodan Layla Samira", "Omar Abdi Khalid Hassan", "Warsame Farah Mohamed Saleh Nasser Yassin"),
    _group(1, "tr", "Elif Zeynep Defne Selin", "Emre Mehmet Kerem Deniz", "Kaya Demir Şahin Öztürk Arslan"),
    _group(1, "de", "Heike Lena Ulrike Johanna", "Jürgen Lukas Matthias Felix", "Müller Schäfer Weiß Vogel Lehmann"),
    _group(1, "uk", "Oksana Iryna Daria Olena", "Taras Andriy Maksym Pavlo", "Shevchenko Bondarenko Kravchenko Melnyk"),
)  # fmt: skip

STREETS = (
    "Harbour Street", "Mill Lane", "Chapel Walk", "Quay Road", "Orchard Close", "Station Parade", "Ferry Lane",
    "Elm Grove", "Lighthouse Road", "Market Row", "Canal Side", "Priory Gardens",
)  # fmt: skip
