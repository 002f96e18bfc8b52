package scheduling_test

import (
	"slices"
	"strings"
	"testing"

	"semantic-epp/config"
	"semantic-epp/scheduling"
)

func TestLanguage(t *testing.T) {
	tests := map[string][]string{
		"en": {"What is the derivative of x squared?", "sort array python", "birth order and personality, any truth in it"},
		"de": {"Wie lösche ich einen Branch?", "Was ist der Unterschied zwischen Zins und Rendite?"},
		"fr": {"Explique-moi la différence entre le droit civil et le droit pénal.", "Pourquoi le ciel est-il bleu ?"},
		"es": {"¿Por qué el cielo es azul?", "Explícame cómo funciona la inflación en una economía"},
		"pt": {"Por que o céu é azul?", "Como não perder a paciência com as crianças?"},
		"it": {"Perché il cielo è blu?", "Spiega la differenza tra il diritto civile e quello penale"},
		"nl": {"Waarom is de lucht blauw en het gras groen?", "Hoe kan ik een bestand verwijderen?"},
		"sv": {"Varför är himlen blå och gräset grönt?", "Hur kan jag ta bort en fil?"},
		"da": {"Hvorfor er himlen blå?", "Hvad er forskellen mellem de to?"},
		"no": {"Hvorfor er himmelen så blå, og hva betyr det?", "Hva er forskjellen mellom disse?"},
		"fi": {"Miksi taivas on sininen?", "Miten voin poistaa tiedoston, jos se on lukittu?"},
		"pl": {"Dlaczego niebo jest niebieskie?", "Jak mogę usunąć plik z katalogu?"},
		"cs": {"Proč je nebe modré?", "Jak mohu smazat soubor, který je zamčený?"},
		"hu": {"Miért kék az ég?", "Hogyan lehet egy fájlt törölni?"},
		"ro": {"De ce este cerul albastru?", "Cum pot să șterg un fișier?"},
		"tr": {"Gökyüzü neden mavi?", "Bir dosyayı nasıl silebilirim?"},
		"id": {"Mengapa langit berwarna biru?", "Bagaimana cara untuk menghapus berkas ini?"},
		"vi": {"Tại sao bầu trời có màu xanh?", "Làm thế nào để xóa một tệp?"},
		"ru": {"Почему небо голубое?", "Как удалить файл?"},
		"uk": {"Чому небо блакитне і трава зелена?", "Як видалити файл, якщо його заблоковано?"},
		"bg": {"Защо небето е синьо?", "Как да изтрия файл?"},
		"zh": {"为什么天空是蓝色的？", "用 Python 写一个排序函数"},
		"ja": {"空はなぜ青いのですか？", "日本語の文法"},
		"ko": {"하늘은 왜 파란가요?"},
		"ar": {"لماذا السماء زرقاء؟"},
		"fa": {"چرا آسمان آبی است و پرنده می\u200cپرد؟"},
		"hi": {"आसमान नीला क्यों है?"},
		"bn": {"আকাশ নীল কেন?"},
		"ta": {"வானம் ஏன் நீலமாக இருக்கிறது?"},
		"th": {"ทำไมท้องฟ้าถึงเป็นสีฟ้า"},
		"el": {"Γιατί ο ουρανός είναι μπλε;"},
		"he": {"למה השמיים כחולים?"},
		"":   {"", "2 + 2 = ?", "\xff\xfe"},
	}
	for want, texts := range tests {
		for _, text := range texts {
			if got := scheduling.Language(text); got != want {
				t.Errorf("%q is in %q, want %q", text, got, want)
			}
		}
	}
	for _, code := range config.Languages() {
		if len(tests[code]) == 0 {
			t.Errorf("%s may be asked for, but is not tested", code)
		}
	}
}

func FuzzLanguage(f *testing.F) {
	f.Add("Why is the sky blue?")
	f.Add("\xff数a'’")
	f.Fuzz(func(t *testing.T, text string) {
		got := scheduling.Language(text)
		if got != "" && !slices.Contains(config.Languages(), got) {
			t.Errorf("%q is in %q, which nobody can ask for", text, got)
		}
		if n := scheduling.EstimateTokens(text); n < 0 || n > len(text) || n == 0 && strings.TrimSpace(text) != "" {
			t.Errorf("%q has %d tokens", text, n)
		}
	})
}

func TestEstimateTokens(t *testing.T) {
	for text, want := range map[string]int{"": 0, "four": 1, strings.Repeat("word ", 100): 125, "数学": 2, "небо": 2} {
		if got := scheduling.EstimateTokens(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
